from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from broker_core import installed, registry
from broker_core.errors import ConfigurationError
from fair_memory.adapter import MemoryAdapter


def install(monkeypatch: pytest.MonkeyPatch, **adapters: str) -> None:
    known = EntryPoints(
        EntryPoint(name, value, installed.ENTRY_POINT_GROUP) for name, value in adapters.items()
    )
    monkeypatch.setattr(registry, "entry_points", lambda **parameters: known.select(**parameters))


def test_an_installed_adapter_is_found_by_its_name() -> None:
    assert registry.find_adapter("memory") is MemoryAdapter
    assert "memory" in installed.adapter_names()


def test_an_unknown_name_is_refused_with_those_that_exist_and_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"BROKER is 'memry', .*memory.*did you mean memory\?"):
        registry.find_adapter("memry")


def test_a_missing_package_is_named_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, distant="package_that_is_not_installed:Adapter")
    with pytest.raises(
        ConfigurationError, match=r"package_that_is_not_installed is missing.*fair-dispatcher\[distant\]"
    ) as caught:
        registry.find_adapter("distant")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_an_entry_point_that_is_no_adapter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, odd="broker_core.model:Message")
    with pytest.raises(ConfigurationError, match="is not a BrokerAdapter"):
        registry.find_adapter("odd")
