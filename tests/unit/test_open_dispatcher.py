"""How a dispatcher is made from arguments and the environment."""

from __future__ import annotations

import pytest

from broker_core import open_dispatcher
from broker_core.errors import (
    ConfigurationError,
)


def test_a_dispatcher_is_made_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER", "memory")
    monkeypatch.setenv("FAIRDISPATCH_NAMESPACE", "sms")
    dispatcher = open_dispatcher(url="memory:mine", quantum=3)
    assert (dispatcher.settings.namespace, dispatcher.settings.quantum) == ("sms", 3)
    assert dispatcher.capabilities.fairness_scope == "namespace"


def test_without_a_broker_it_is_said_how_to_choose_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROKER", raising=False)
    with pytest.raises(ConfigurationError, match=r"BROKER is not set: choose one of .*memory"):
        open_dispatcher()


def test_an_unknown_setting_or_url_is_refused_before_anything_is_made() -> None:
    with pytest.raises(ConfigurationError, match="did you mean quantum"):
        open_dispatcher("memory", quantun=3)
    with pytest.raises(ConfigurationError, match=r"url: .*must begin with memory:"):
        open_dispatcher("memory", url="elsewhere://host")
    with pytest.raises(ConfigurationError, match="client must be a MemoryBroker"):
        open_dispatcher("memory", client=object())
