"""Loads an adapter by its name, without knowing any."""

from __future__ import annotations

import difflib
from importlib.metadata import entry_points

from broker_core.adapter import BrokerAdapter
from broker_core.errors import ConfigurationError
from broker_core.installed import ENTRY_POINT_GROUP, adapter_names


def find_adapter(name: str) -> type[BrokerAdapter]:
    """Load the adapter of that name.

    Raises ConfigurationError when there is none, or when the packages that it needs are not installed.
    """
    found = next(iter(entry_points(group=ENTRY_POINT_GROUP, name=name)), None)
    if found is None:
        names = adapter_names()
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigurationError(f"BROKER is {name!r}, but installed are {', '.join(names)}{hint}")
    try:
        adapter = found.load()
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"BROKER is {name!r}, but the package {error.name} is missing: "
            f"pip install 'fair-dispatcher[{name}]'"
        ) from error
    if not (isinstance(adapter, type) and issubclass(adapter, BrokerAdapter)):
        raise ConfigurationError(f"the entry point {found.value} of {name!r} is not a BrokerAdapter")
    return adapter
