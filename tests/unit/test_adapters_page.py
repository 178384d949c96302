"""The page about adapters is what the adapters declare, and they decline no more than they may."""

from __future__ import annotations

import pytest

from broker_core.adapter import BrokerAdapter
from scripts.docs import adapters as page
from scripts.docs.pages import FOLDER
from scripts.docs.shipped import adapters

# Beside what everybody may say: the most that all adapters keep.
MAY_SAY = {
    "fairness_scope": {
        "namespace": {"rabbitmq", "kafka", "redis", "memory"},
        "consumer": {"rabbitmq", "kafka"},
    },
    "lease_enforced_by": {
        "broker": {"rabbitmq", "kafka", "redis", "memory"},
        "client": {"rabbitmq", "kafka"},
        "ledger": {"kafka"},
    },
    "attempts": {"exact": {"rabbitmq", "kafka", "redis", "memory"}, "at_least": {"rabbitmq", "kafka"}},
    "backlog": {
        "exact": {"rabbitmq", "kafka", "redis", "memory"},
        "approximate": {"rabbitmq"},
        "ready_exact": {"kafka"},
    },
    "dedup": {"namespace": {"rabbitmq", "kafka", "redis", "memory"}, "publisher": {"rabbitmq", "kafka"}},
}
AT_LEAST = {"redis": 1_000_000, "memory": 1_000_000, "rabbitmq": 5000, "kafka": 4000}

each = pytest.mark.parametrize(("name", "adapter"), adapters().items())


def test_the_page_is_fresh() -> None:
    assert (FOLDER / "adapters.md").read_text("utf-8") == page.page(), "run `make docs`"


@each
def test_nothing_else_is_declined(name: str, adapter: type[BrokerAdapter]) -> None:
    for capability, allowed in MAY_SAY.items():
        value = getattr(adapter.capabilities, capability)
        assert name in allowed[value], f"{name} may not say {capability} = {value}"
    assert adapter.capabilities.max_customers >= AT_LEAST[name]
    assert adapter.capabilities.policies >= {"weight", "paused"}
    assert adapter.capabilities.residue
    seconds = adapter.capabilities.takeover_seconds
    assert seconds is None or seconds <= 5


def test_the_page_tells_what_is_declared() -> None:
    text = page.page()
    for name, adapter in adapters().items():
        assert f"`{name}`" in text
        assert adapter.capabilities.residue in text
