"""Servers that run already and belong to somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit

from redis import Redis
from redis.exceptions import RedisError

from tests.servers.amqp_wire import server_properties, told_version
from tests.servers.interface import ServerAbsent
from tests.servers.kafka_wire import ask_api_versions, metadata_level
from tests.servers.products import Kind, Product
from tests.servers.redis_wire import version_in

_TIMEOUT_SECONDS = 2.0
_PORTS: Mapping[Kind, int] = {"redis": 6379, "rabbitmq": 5672, "kafka": 9092}


class ExternalServer:
    """A server that is neither started nor stopped. RabbitMQ and Kafka without TLS, Kafka's first address."""

    restartable = False

    def __init__(self, kind: Kind, url: str) -> None:
        parts = urlsplit(url if "://" in url else f"//{url.split(',')[0]}")
        self._kind = kind
        self.url = url
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or _PORTS[kind]
        self.version = ""

    def start(self) -> None:
        """Look whether it answers; ServerAbsent if it doesn't."""
        if not self.answers():
            raise ServerAbsent(f"nothing at {self.host}:{self.port} answers as {self._kind} does")
        self.version = self._reported_version()

    def answers(self) -> bool:
        if self._kind == "redis":
            return self._info() is not None
        if self._kind == "rabbitmq":
            return server_properties(self.host, self.port) is not None
        return ask_api_versions(self.host, self.port) is not None

    def _reported_version(self) -> str:
        if self._kind == "redis":
            return version_in(self._info() or {})
        if self._kind == "rabbitmq":
            return told_version(self.host, self.port)
        level = metadata_level(ask_api_versions(self.host, self.port) or b"")
        return f"kafka with metadata.version at level {level}"

    def _info(self) -> Mapping[str, str] | None:
        # With the client library, since there may be a password.
        with Redis.from_url(self.url, socket_timeout=_TIMEOUT_SECONDS, decode_responses=True) as client:
            try:
                return cast(Mapping[str, str], client.info("server"))
            except RedisError:
                return None

    def kill(self) -> None:
        raise NotImplementedError("it isn't ours")

    launch = kill

    def stop(self) -> None:
        """Leave it alone."""


def external(product: Product, environment: Mapping[str, str]) -> ExternalServer:
    """Return the server that the product's variable points to; ServerAbsent if there is no such variable."""
    url = environment.get(product.url_variable)
    if not url:
        raise ServerAbsent(f"{product.url_variable} is not set")
    return ExternalServer(product.kind, url)
