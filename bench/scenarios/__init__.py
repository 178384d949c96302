"""One file a scenario; ALL lists them in the order of the report."""

from __future__ import annotations

from bench.model import Scenario
from bench.scenarios import (
    consumer_group,
    end_to_end,
    fairness,
    idle_customers,
    latency,
    obvious_design,
    offered_load,
    residue,
    seam,
    work_processes,
    worker,
)

ALL: tuple[Scenario, ...] = (
    *end_to_end.SCENARIOS,
    idle_customers.SCENARIO,
    obvious_design.SCENARIO,
    worker.SCENARIO,
    work_processes.SCENARIO,
    latency.SCENARIO,
    offered_load.SCENARIO,
    fairness.SCENARIO,
    residue.SCENARIO,
    seam.SCENARIO,
    *consumer_group.SCENARIOS,
)


def find(name: str) -> Scenario:
    """Return the scenario of that name."""
    return next(scenario for scenario in ALL if scenario.name == name)
