"""One file a scenario; ALL lists them in the order of the report."""

from __future__ import annotations

from bench.model import Scenario
from bench.scenarios import (
    consumer_group,
    customers,
    end_to_end,
    fairness,
    fairness_brokers,
    flood,
    idle_customers,
    latency,
    obvious_design,
    offered_load,
    payloads,
    recovery,
    residue,
    resources,
    seam,
    weights,
    work_processes,
    worker,
)

ALL: tuple[Scenario, ...] = (
    *end_to_end.SCENARIOS,
    *customers.SCENARIOS,
    *idle_customers.SCENARIOS,
    obvious_design.SCENARIO,
    worker.SCENARIO,
    work_processes.SCENARIO,
    payloads.SCENARIO,
    *latency.SCENARIOS,
    *offered_load.SCENARIOS,
    flood.SCENARIO,
    weights.SCENARIO,
    fairness.SCENARIO,
    fairness_brokers.SCENARIO,
    recovery.SCENARIO,
    resources.SCENARIO,
    residue.SCENARIO,
    seam.SCENARIO,
    *consumer_group.SCENARIOS,
)


def find(name: str) -> Scenario:
    """Return the scenario of that name."""
    return next(scenario for scenario in ALL if scenario.name == name)
