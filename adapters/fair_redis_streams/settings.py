"""Settings of this adapter beside the common ones."""

from __future__ import annotations

from pydantic import Field, SecretStr

from broker_core.settings import DispatcherSettings


class RedisStreamsSettings(DispatcherSettings):
    """Where Redis is and how to talk to it."""

    url: SecretStr | None = Field(
        None,
        validation_alias="REDIS_URL",
        description="redis://[user:password@]host:port/db, rediss://… (TLS), unix://path, embedded:[folder]; "
        "user name and password percent-encoded",
    )
    shards: int | None = Field(
        None,
        validation_alias="FAIRDISPATCH_REDIS_SHARDS",
        ge=1,
        le=1024,
        description="shards of the namespace, fixed when it is created; unset: what it has, 1 for a new one",
    )
    timeout_seconds: float = Field(
        5.0,
        validation_alias="FAIRDISPATCH_REDIS_TIMEOUT_SECONDS",
        ge=0.05,
        le=300,
        description="longest wait for a connection and for an answer of the server",
    )
    max_connections: int = Field(
        16,
        validation_alias="FAIRDISPATCH_REDIS_MAX_CONNECTIONS",
        ge=2,
        le=10_000,
        description="most connections of one dispatcher",
    )
