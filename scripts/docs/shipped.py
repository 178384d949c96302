"""The adapters of this distribution and their settings, whatever else is installed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from broker_core.adapter import BrokerAdapter
from broker_core.installed import ENTRY_POINT_GROUP
from broker_core.settings import DispatcherSettings, variables_of

ROOT = Path(__file__).resolve().parents[2]

# For people: the name of the broker, and which versions of it are supported.
BROKERS = {
    "redis": ("Redis, Valkey", "Redis ≥ 7.0, Valkey ≥ 8"),
    "rabbitmq": ("RabbitMQ", "≥ 3.10, 4.x"),
    "kafka": ("Kafka", "≥ 3.9 and 4.x, KRaft"),
    "memory": ("memory of one process", "–"),
}

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = frozenset(_PROJECT["optional-dependencies"])


def adapters() -> dict[str, type[BrokerAdapter]]:
    """Load the adapters by name, in the order of `BROKERS`; KeyError if one is missing there."""
    values: dict[str, str] = _PROJECT["entry-points"][ENTRY_POINT_GROUP]
    places = list(BROKERS)
    names = sorted(values, key=places.index)
    return {name: EntryPoint(name, values[name], ENTRY_POINT_GROUP).load() for name in names}


def own_settings(settings_type: type[DispatcherSettings]) -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield name, variable and field of what an adapter adds to the common settings."""
    for name, field in settings_type.model_fields.items():
        if name not in DispatcherSettings.model_fields:
            yield name, variables_of(name, field)[0], field


def default_of(field: FieldInfo) -> str:
    """Say what holds when nothing is set, "" if nothing does."""
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return "" if value is None else str(value)


def allowed_in(field: FieldInfo) -> str:
    """Say which values are allowed, "" if the description has to."""
    limits = {
        name: getattr(rule, name) for rule in field.metadata for name in ("ge", "le") if hasattr(rule, name)
    }
    if len(limits) == 2:
        return f"{_plain(limits['ge'])} to {_plain(limits['le'])}"
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    said = all(choice in str(field.description) for choice in choices)
    return "" if said else " or ".join(choices)


def _plain(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else str(number)
