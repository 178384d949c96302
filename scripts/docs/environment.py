"""The example of an environment: every variable of the product, with its default."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pydantic.fields import FieldInfo

from broker_core.settings import DispatcherSettings, variables_of
from scripts.docs.shipped import BROKERS, adapters, allowed_in, default_of, own_settings

_WIDTH = 110

_HEAD = """\
# Made by `make docs` from the settings; change those. To use it: cp compose/.env.example compose/.env
# What has a # in front is at its default; leave out what is empty. An unknown FAIRDISPATCH_… is refused;
# those of adapters that aren't in use are passed over.

# For the files of compose/ alone. Choose your own passwords, of letters and digits: they stand in URLs.
REDIS_PASSWORD=change-me
RABBITMQ_PASSWORD=change-me
# 16 random bytes in base64 for URLs: kafka-storage.sh random-uuid prints one. It names the cluster for ever.
KAFKA_CLUSTER_ID=4L6g3nShT-eMCtK--X86sw
# The folder with handlers.py, relative to compose/.
#HANDLERS=./handlers

# The broker, by the name of an installed adapter. The files of compose/ set it, and where the broker is.
#BROKER=redis
"""


def page() -> str:
    """Make the file."""
    parts = [_HEAD, "# --- Every adapter ---\n"]
    for name, field in DispatcherSettings.model_fields.items():
        parts += _variable(variables_of(name, field)[0], field)
    for name, adapter in adapters().items():
        parts.append(f"# --- BROKER={name}: {BROKERS[name][0]} ---\n")
        for _, variable, field in own_settings(adapter.settings_type):
            parts += _variable(variable, field)
    return "\n".join(parts).rstrip() + "\n"


def _variable(variable: str, field: FieldInfo) -> Iterator[str]:
    allowed = f" ({text})" if (text := allowed_in(field)) else ""
    yield from textwrap.wrap(
        f"{field.description}{allowed}", _WIDTH, initial_indent="# ", subsequent_indent="# "
    )
    yield f"#{variable}={default_of(field)}\n"
