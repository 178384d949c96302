"""Settings of this adapter beside the common ones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from broker_core.settings import DispatcherSettings


class RabbitMQSettings(DispatcherSettings):
    """Where RabbitMQ is and how to talk to it."""

    url: SecretStr | None = Field(
        None,
        validation_alias="RABBITMQ_URL",
        description="amqp://[user:password@]host:port/vhost or amqps://… (TLS); "
        "user name and password percent-encoded",
    )
    queue_type: Literal["quorum", "classic"] = Field(
        "quorum",
        validation_alias="FAIRDISPATCH_RABBITMQ_QUEUE_TYPE",
        description="of the customers' queues: quorum is replicated, classic is lighter and isn't",
    )
    hashed_queues: int = Field(
        0,
        validation_alias="FAIRDISPATCH_RABBITMQ_HASHED_QUEUES",
        ge=0,
        le=5000,
        description="queues that all customers share by hash, for very many customers; 0: each has its own",
    )
    idle_queue_seconds: float = Field(
        300.0,
        validation_alias="FAIRDISPATCH_RABBITMQ_IDLE_QUEUE_SECONDS",
        ge=1,
        le=30 * 86400,
        description="how long a customer's queue is kept after its last message",
    )
    timeout_seconds: float = Field(
        5.0,
        validation_alias="FAIRDISPATCH_RABBITMQ_TIMEOUT_SECONDS",
        ge=0.05,
        le=300,
        description="longest wait for a connection and for an answer of the server",
    )
    heartbeat_seconds: int = Field(
        10,
        validation_alias="FAIRDISPATCH_RABBITMQ_HEARTBEAT_SECONDS",
        ge=1,
        le=600,
        description="after about two of these without a sign of life the server gives up a connection",
    )
    max_buffered: int = Field(
        20_000,
        validation_alias="FAIRDISPATCH_RABBITMQ_MAX_BUFFERED",
        ge=100,
        le=1_000_000,
        description="about how many messages a dispatcher holds at most before they are handed over",
    )
    linger_seconds: float = Field(
        0.15,
        validation_alias="FAIRDISPATCH_RABBITMQ_LINGER_SECONDS",
        ge=0,
        le=60,
        description="how long after the last receive the messages that nobody took are kept at hand",
    )
