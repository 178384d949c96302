"""Names the modules that hold tests, in the order of the contract."""

from __future__ import annotations

TOPICS = (
    "publish_receive",
    "cancellation",
    "dedup",
    "leases",
    "giving_back",
    "fencing",
    "crash_expiry",
    "consumer_death",
    "attempts",
    "dead_letters",
    "order",
    "fairness",
    "fairness_bound",
    "fairness_scale",
    "isolation",
    "life_cycle",
    "worker",
    "broker_restart",
    "connection_loss",
    "broker_silence",
    "introspection",
    "limits",
    "memory_use",
    "removal",
    "releases",
)
