"""The only place where the suite decides to skip: what a test needs of the adapter or of the harness."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broker_core.adapter import Capabilities
from broker_core.conformance.harness import Harness

requires = pytest.mark.requires
"""Marks a test, or a class of tests, with the names of what it needs."""

# Name → whether the adapter keeps it. A test without a mark holds for every adapter.
CAPABILITIES: dict[str, Callable[[Capabilities], bool]] = {
    "fairness_scope": lambda kept: kept.fairness_scope == "namespace",
    "lease_enforced_by": lambda kept: kept.lease_enforced_by in ("broker", "ledger"),
    "attempts": lambda kept: kept.attempts == "exact",
    "backlog": lambda kept: kept.backlog == "exact",
    "dedup": lambda kept: kept.dedup != "none",
    "dedup_namespace": lambda kept: kept.dedup == "namespace",
    "weight": lambda kept: "weight" in kept.policies,
    "paused": lambda kept: "paused" in kept.policies,
    "max_in_flight": lambda kept: "max_in_flight" in kept.policies,
    "rate": lambda kept: "rate" in kept.policies,
    "ordered": lambda kept: "ordered" in kept.policies,
    "max_backlog": lambda kept: "max_backlog" in kept.policies,
    "max_backlog_bytes": lambda kept: "max_backlog_bytes" in kept.policies,
    "scheduled": lambda kept: kept.scheduled,
    "ttl": lambda kept: kept.ttl,
    "priorities": lambda kept: kept.priorities,
}
FEATURES: dict[str, Callable[[Harness], bool]] = {
    "processes": lambda harness: harness.features.processes,
    "restartable": lambda harness: harness.features.restartable,
    "proxy": lambda harness: harness.features.proxy,
    "credentials": lambda harness: harness.features.credentials,
    "garbage": lambda harness: harness.features.garbage,
    "removal": lambda harness: harness.features.removal,
    "releases": lambda harness: harness.features.releases,
}


def needs_of(test: pytest.Item) -> list[str]:
    """Name what a test requires."""
    return [need for mark in test.iter_markers("requires") for need in mark.args]


def unmet(needs: list[str], harness: Harness) -> list[str]:
    """Name the needs that this adapter or harness doesn't meet; KeyError for an unknown need."""
    return [
        need
        for need in needs
        if not (FEATURES[need](harness) if need in FEATURES else CAPABILITIES[need](harness.capabilities))
    ]
