"""Makes a dispatcher for whichever broker is configured."""

from __future__ import annotations

import os
from typing import Any

from broker_core.dispatcher import FairDispatcher
from broker_core.errors import ConfigurationError
from broker_core.installed import adapter_names
from broker_core.registry import find_adapter
from broker_core.settings import BROKER_VARIABLE


def open_dispatcher(
    broker: str | None = None, url: str | None = None, *, client: Any = None, **settings: Any
) -> FairDispatcher:
    """Make a dispatcher from arguments and the environment; `async with` or `await d.open()` connects it.

    broker: the adapter's name, else the variable BROKER. url: where the broker is, else the adapter's own
    variable. client: a client of the broker's library, made and closed by the caller. settings: those of
    DispatcherSettings and of the adapter; arguments win over `FAIRDISPATCH_…` variables.
    Raises ConfigurationError for anything wrong or missing. Connects to nothing.
    """
    name = broker if broker is not None else os.environ.get(BROKER_VARIABLE)
    if not name:
        raise ConfigurationError(
            f"BROKER is not set: choose one of {', '.join(adapter_names())} in the environment or as broker=…"
        )
    adapter_type = find_adapter(name)
    if url is not None:
        settings["url"] = url
    loaded = adapter_type.settings_type.load(**settings)
    return FairDispatcher(adapter_type(loaded, client), loaded)
