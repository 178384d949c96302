"""The adapter for Redis Streams: opens a namespace and puts its parts together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from broker_core.adapter import BrokerAdapter, Capabilities, Settlement
from broker_core.errors import ConfigurationError, DispatcherError
from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, DeadLetter, Delivery, Message, Page
from broker_core.reaching import reach
from broker_core.settings import DispatcherSettings
from fair_redis_streams.connection import Connections
from fair_redis_streams.customers import Customers
from fair_redis_streams.dead_letters import DeadLetters
from fair_redis_streams.embedded import EmbeddedServer, acquire
from fair_redis_streams.publishing import Publisher
from fair_redis_streams.receiving import Receiver
from fair_redis_streams.repair import Repairer
from fair_redis_streams.server import Server
from fair_redis_streams.settings import RedisStreamsSettings
from fair_redis_streams.settling import Settler
from fair_redis_streams.wake import WakeListener

EMBEDDED_SCHEME = "embedded:"
CONNECT_PAUSES_SECONDS = (0.1, 0.3)
ADVICE = (
    "check host and port in REDIS_URL, and that redis:// leads to a port without TLS, "
    "rediss:// to one with TLS"
)


class RedisStreamsAdapter(BrokerAdapter):
    """One namespace on one Redis or Valkey primary."""

    settings_type: ClassVar[type[DispatcherSettings]] = RedisStreamsSettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        fairness_scope="namespace",
        lease_enforced_by="broker",
        attempts="exact",
        backlog="exact",
        dedup="namespace",
        policies=frozenset({"weight", "paused"}),
        scheduled=False,
        ttl=False,
        priorities=False,
        max_customers=1_000_000,
        takeover_seconds=None,
        residue="for each shard three hashes without customers and at most one wake token",
    )

    def __init__(self, settings: RedisStreamsSettings, client: Any = None) -> None:
        if client is None and settings.url is None:
            raise ConfigurationError(
                "REDIS_URL is not set: give a server's URL, redis://host:6379/0, or embedded:/path/to/data "
                "to run a Valkey as a child of this process (pip install 'fair-dispatcher[embedded]')"
            )
        self._settings = settings
        self._client = client
        self._embedded: EmbeddedServer | None = None
        self._connections: Connections | None = None

    async def open(self) -> None:
        """Connect, load what the server lacks, and join the namespace."""
        try:
            self._connections = await self._connect()
            await self._join(self._connections)
        except BaseException:
            await self._disconnect()
            raise

    async def _connect(self) -> Connections:
        settings = self._settings
        if self._client is not None:
            return Connections.of_client(self._client, settings.timeout_seconds)
        url = settings.url.get_secret_value() if settings.url is not None else ""
        if url.startswith(EMBEDDED_SCHEME):
            self._embedded = await acquire(url)
            url = self._embedded.url
        return Connections.to_url(url, settings.timeout_seconds, settings.max_connections)

    async def _join(self, connections: Connections) -> None:
        settings = self._settings
        server = Server(connections, settings.namespace)
        await reach(
            server.check,
            pauses_seconds=CONNECT_PAUSES_SECONDS,
            timeout_seconds=settings.timeout_seconds,
            advice=ADVICE,
        )
        shards = await server.run("open", 0, settings.shards or 0)
        if settings.shards not in (None, shards):
            raise ConfigurationError(
                f"namespace {settings.namespace!r} has {shards} shards since it was created, not "
                f"{settings.shards}: set shards={shards} or leave it out, or choose another namespace"
            )
        for shard in range(1, shards):
            await server.run("open", shard, shards)
        self._listener = WakeListener(server, settings.namespace, shards, settings.timeout_seconds)
        self._publisher = Publisher(server, shards, settings.dedup_window)
        self._receiver = Receiver(server, self._listener, settings, shards)
        self._settler = Settler(server, shards, settings.max_attempts)
        self._customers = Customers(server, settings, shards)
        self._dead_letters = DeadLetters(server, shards)
        self._repairer = Repairer(server, settings.namespace, shards)
        self._repairer.start()

    async def close(self) -> None:
        """Undo what is half received, stop all tasks, disconnect."""
        if self._connections is None:
            return
        await self._receiver.close()
        await self._listener.close()
        await self._repairer.close()
        await self._disconnect()

    async def _disconnect(self) -> None:
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.close()
        embedded, self._embedded = self._embedded, None
        if embedded is not None:
            await embedded.release()

    async def publish(self, messages: Sequence[Message]) -> list[str | DispatcherError]:
        """See BrokerAdapter; so below."""
        return await self._publisher.publish(messages)

    async def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:  # noqa: D102
        return await self._receiver.receive(max_messages, wait_seconds)

    async def settle(self, receipts: Sequence[str], settlement: Settlement) -> list[str]:  # noqa: D102
        return await self._settler.settle(receipts, settlement)

    async def extend(self, receipts: Sequence[str], seconds: float) -> list[datetime | None]:  # noqa: D102
        return await self._settler.extend(receipts, seconds)

    async def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:  # noqa: D102
        await self._customers.set_policy(customer, policy)

    async def inspect(self, customer: str | None) -> tuple[Backlog, CustomerPolicy | None]:  # noqa: D102
        return await self._customers.inspect(customer)

    async def customers(self, limit: int, cursor: str | None) -> Page[CustomerBacklog]:  # noqa: D102
        return await self._customers.page(limit, cursor)

    async def dead_letters(  # noqa: D102
        self, customer: str | None, limit: int, cursor: str | None
    ) -> Page[DeadLetter]:
        return await self._dead_letters.page(customer, limit, cursor)

    async def end_dead_letters(  # noqa: D102
        self, customer: str, ids: Sequence[str] | None, *, redrive: bool
    ) -> int:
        return await self._dead_letters.end(customer, ids, redrive=redrive)

    async def purge(self, customer: str) -> int:  # noqa: D102
        return await self._customers.purge(customer)
