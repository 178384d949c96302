"""Settings that all adapters share, from arguments and the environment; arguments win."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from broker_core.errors import ConfigurationError
from broker_core.installed import adapter_names

ENV_PREFIX = "FAIRDISPATCH_"
# The processes around a dispatcher keep their own variables here; a dispatcher passes them over.
SERVICE_PREFIX = f"{ENV_PREFIX}SERVICE_"
FILE_SUFFIX = "_FILE"
BROKER_VARIABLE = "BROKER"

Delay = Annotated[float, Field(ge=0, le=365 * 86400)]
Seconds = Annotated[float, Field(ge=0, le=10 * 365 * 86400)]


class EnvironmentSettings(BaseSettings):
    """Settings from arguments and from variables that begin with the prefix of the class; arguments win.

    A secret may stand in a file too: a variable with `_FILE` after its name holds the path.
    """

    @classmethod
    def load(cls, **arguments: Any) -> Self:
        """Read arguments and environment; ConfigurationError names variable, value and what is allowed."""
        prefix = str(cls.model_config.get("env_prefix", ""))
        names = {name: variables_of(name, field, prefix) for name, field in cls.model_fields.items()}
        refuse_unknown_arguments(arguments, names)
        from_files = _secrets_from_files(cls.model_fields, names, arguments)
        known = {variable for variables in names.values() for variable in variables}
        known |= {names[name][0] + FILE_SUFFIX for name in _secret_fields(cls.model_fields)}
        refuse_unknown_variables(known, prefix=prefix)
        try:
            return cls(**arguments, **from_files)
        except ValidationError as error:
            raise ConfigurationError(_describe(error, cls.model_fields, arguments, prefix)) from None


class DispatcherSettings(EnvironmentSettings):
    """What every adapter understands. In the environment each is `FAIRDISPATCH_` and its name in capitals.

    All times are seconds. An adapter adds its own fields in a subclass, read from variables that begin with
    `FAIRDISPATCH_` and the adapter's name in capitals, so that switching the broker needs no other change:
    variables of adapters that aren't in use are passed over.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True
    )

    namespace: str = Field(
        "default",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="the logical queue: 1–64 letters, digits, dots, dashes and underscores",
    )
    quantum: int = Field(
        10, ge=1, le=1_000_000, description="cost units a customer of weight 1 gets in one visit"
    )
    lease_seconds: float = Field(
        30.0, ge=0.05, le=86400, description="how long a delivery stays its consumer's without renewal"
    )
    max_attempts: int = Field(
        5, ge=1, le=1000, description="deliveries before a message becomes a dead letter"
    )
    backoff_base: Delay = Field(1.0, description="delay after the first failure; doubled by each further one")
    backoff_cap: Delay = Field(300.0, description="the longest delay after a failure")
    backoff_jitter: float = Field(0.2, ge=0, le=1, description="random part of the delay: 0.2 is ±20 %")
    max_payload_bytes: int = Field(1 << 20, ge=0, le=128 << 20, description="largest payload of a message")
    max_headers_bytes: int = Field(
        16 << 10, ge=0, le=1 << 20, description="largest sum of a message's header names and values in UTF-8"
    )
    max_cost: int = Field(1000, ge=1, le=1_000_000, description="largest cost of a message")
    dedup_window: Seconds = Field(
        300.0, description="how long a (customer, Message.id) is recognised; 0 switches it off"
    )
    dead_letter_retention: Seconds = Field(14 * 86400.0, description="how long a dead letter is kept")


def variables_of(name: str, field: FieldInfo, prefix: str = ENV_PREFIX) -> list[str]:
    """Name the environment variables that a field is read from, the preferred one first."""
    alias = field.validation_alias
    if isinstance(alias, str):
        return [alias]
    return [prefix + name.upper()]


def _secret_fields(fields: Mapping[str, FieldInfo]) -> list[str]:
    return [name for name, field in fields.items() if SecretStr.__name__ in str(field.annotation)]


def _secrets_from_files(
    fields: Mapping[str, FieldInfo], variables: Mapping[str, list[str]], arguments: Mapping[str, object]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _secret_fields(fields):
        variable = variables[name][0]
        path = os.environ.get(variable + FILE_SUFFIX)
        if path is None or name in arguments:
            continue
        if variable in os.environ:
            raise ConfigurationError(f"{variable} and {variable}{FILE_SUFFIX} are both set: one is enough")
        try:
            found[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ConfigurationError(f"{variable}{FILE_SUFFIX} is {path!r}, but: {reason}") from None
    return found


def refuse_unknown_arguments(arguments: Mapping[str, object], known: Iterable[str]) -> None:
    """Raise ConfigurationError for an argument that is no setting, with the nearest one that is."""
    for name in arguments:
        if name not in known:
            raise ConfigurationError(f"{name} is not a setting{_nearest(name, known)}")


def refuse_unknown_variables(
    known: Iterable[str], environment: Mapping[str, str] = os.environ, prefix: str = ENV_PREFIX
) -> None:
    """Raise ConfigurationError for a variable with the prefix that is none of `known`, with the nearest one.

    Those of installed adapters and of the service that `known` doesn't belong to may be set; they wait for
    their broker, and for the service.
    """
    prefixes = [f"{ENV_PREFIX}{name.upper()}_" for name in adapter_names()] + [SERVICE_PREFIX]
    others = tuple(prefix for prefix in prefixes if not any(name.startswith(prefix) for name in known))
    for variable in environment:
        if variable.startswith(prefix) and variable not in known and not variable.startswith(others):
            raise ConfigurationError(
                f"the environment variable {variable} is not known{_nearest(variable, known)}"
            )


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(known))}"


def _describe(
    error: ValidationError, fields: Mapping[str, FieldInfo], arguments: Mapping[str, object], prefix: str
) -> str:
    lines = []
    for detail in error.errors(include_url=False, include_input=False):
        place = str(detail["loc"][0]) if detail["loc"] else ""
        name, field = next(
            ((n, f) for n, f in fields.items() if place == n or place in variables_of(n, f, prefix)),
            (place, None),
        )
        if field is None:
            lines.append(f"{place}: {detail['msg']}")
            continue
        variable = variables_of(name, field, prefix)[0]
        value = arguments.get(
            name, next((os.environ[v] for v in variables_of(name, field, prefix) if v in os.environ), None)
        )
        secret = SecretStr.__name__ in str(field.annotation)
        shown = "" if secret or value is None else f" is {value!r}, but"
        source = name if name in arguments else variable
        allowed = f" ({field.description})" if field.description else ""
        lines.append(f"{source}{shown}: {detail['msg']}{allowed}")
    return "; ".join(lines)
