"""Settings of the service, from variables `FAIRDISPATCH_SERVICE_…`."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from broker_core.errors import ConfigurationError
from broker_core.settings import SERVICE_PREFIX, EnvironmentSettings

Seconds = Annotated[float, Field(gt=0, le=3600)]


class ServiceSettings(EnvironmentSettings):
    """How the service listens, whom it lets in, and what it refuses."""

    model_config = SettingsConfigDict(
        env_prefix=SERVICE_PREFIX,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    host: str = Field("127.0.0.1", description="the address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="0: any that is free")
    key_file: Path | None = Field(
        None, description="the file of API keys, made by `fairdispatch keys create`"
    )
    allow_anonymous: bool = Field(
        False, description="let everybody in, without keys; only on a loopback address"
    )
    tls_certfile: Path | None = Field(None, description="certificate chain in PEM; together with tls_keyfile")
    tls_keyfile: Path | None = Field(None, description="private key in PEM")
    idempotency_keys: int = Field(
        200_000, ge=1000, le=100_000_000, description="keys that 409 is answered for, of all processes"
    )
    idempotency_file: Path | None = Field(
        None, description="where they are kept, also when all processes end; else in memory"
    )
    max_body_bytes: int = Field(2 << 20, ge=1, le=256 << 20, description="largest body, but for NDJSON")
    max_batch_bytes: int = Field(64 << 20, ge=1, le=1 << 40, description="largest body of NDJSON")
    max_batch_messages: int = Field(10_000, ge=1, le=1_000_000, description="most lines of NDJSON")
    max_buffered_bytes: int = Field(
        64 << 20, ge=1 << 16, le=1 << 40, description="all bodies together that are in memory"
    )
    max_head_bytes: int = Field(16 << 10, ge=1 << 10, le=1 << 20, description="largest address and headers")
    max_connections: int = Field(10_000, ge=1, le=1_000_000, description="connections of one process")
    head_seconds: Seconds = Field(10.0, description="how long address and headers may take to come")
    body_seconds: Seconds = Field(30.0, description="how long a body, or a part of NDJSON, may take to come")
    batch_seconds: Seconds = Field(300.0, description="how long a whole body of NDJSON may take")
    write_seconds: Seconds = Field(30.0, description="how long a client may not read what it asked for")
    idle_seconds: Seconds = Field(75.0, description="how long a connection is kept between requests")
    longest_wait_seconds: float = Field(
        30.0,
        ge=0,
        le=30,
        description="a longer `wait` of a long poll is cut to this; one above 30 is refused",
    )
    rate: float | None = Field(
        None, gt=0, le=1e9, description="requests and published messages a second of a key, of all processes"
    )
    burst_seconds: Seconds = Field(2.0, description="how much of the rate may come at once")
    grace_seconds: float = Field(20.0, ge=0, le=3600, description="how long requests may go on after SIGTERM")

    @classmethod
    def load(cls, **arguments: Any) -> Self:
        """Read arguments and environment. Raises ConfigurationError, also for what doesn't fit together."""
        settings = super().load(**{name: value for name, value in arguments.items() if value is not None})
        if (settings.tls_certfile is None) != (settings.tls_keyfile is None):
            raise ConfigurationError(f"{SERVICE_PREFIX}TLS_CERTFILE and …TLS_KEYFILE go together")
        if settings.key_file is not None and settings.allow_anonymous:
            raise ConfigurationError(f"{SERVICE_PREFIX}ALLOW_ANONYMOUS and …KEY_FILE exclude each other")
        if settings.key_file is None:
            settings.check_anonymous()
        return settings

    def check_anonymous(self) -> None:
        """Raise ConfigurationError unless it is safe and wished that everybody is let in."""
        if not self.allow_anonymous:
            raise ConfigurationError(
                f"{SERVICE_PREFIX}KEY_FILE is not set: make a key with `fairdispatch keys create`, "
                f"or set {SERVICE_PREFIX}ALLOW_ANONYMOUS=true to let everybody on this machine in"
            )
        if not is_loopback(self.host):
            raise ConfigurationError(
                f"{SERVICE_PREFIX}ALLOW_ANONYMOUS is only for loopback addresses, "
                f"and {SERVICE_PREFIX}HOST is {self.host!r}: use 127.0.0.1 or ::1, or keys"
            )


def is_loopback(host: str) -> bool:
    """Tell whether this address is reached from this machine alone; a name never is."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
