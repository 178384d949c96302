"""The seam's methods over RabbitMQ."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Self, cast

from broker_core.adapter import BrokerAdapter, Capabilities, Settlement
from broker_core.errors import BrokerUnavailable, ConfigurationError, DispatcherError
from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, DeadLetter, Delivery, Message, Page
from fair_rabbitmq.composition import Parts, assemble, close, connect, start
from fair_rabbitmq.connection import url_of
from fair_rabbitmq.receipts import dispatcher_name
from fair_rabbitmq.settings import RabbitMQSettings

OPEN_PAUSE_SECONDS = (0.1, 0.6)


class RabbitMQAdapter(BrokerAdapter):
    """A durable queue for each customer, a journal for the rest, fair shares for each dispatcher's consumers.

    client: not taken, for publishing and consuming need connections of their own that are made anew.
    """

    settings_type: ClassVar[type[RabbitMQSettings]] = RabbitMQSettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        fairness_scope="consumer",
        lease_enforced_by="client",
        attempts="exact",
        backlog="approximate",
        dedup="publisher",
        policies=frozenset({"weight", "paused"}),
        scheduled=False,
        ttl=False,
        priorities=False,
        max_customers=5000,
        takeover_seconds=1.0,
        residue="exchanges, journal, dead letters and delays of the namespace; "
        "queues of customers idle for less than idle_queue_seconds",
    )

    def __new__(cls, settings: RabbitMQSettings, client: Any = None) -> Self:
        """Choose the class that tells what customers who share queues have to do without."""
        del client
        if settings.hashed_queues and not issubclass(cls, HashedRabbitMQAdapter):
            return cast(Self, super().__new__(HashedRabbitMQAdapter))
        return super().__new__(cls)

    def __init__(self, settings: RabbitMQSettings, client: Any = None) -> None:
        if client is not None:
            raise ConfigurationError(
                "client isn't taken by this adapter: it makes connections of its own from url"
            )
        if settings.url is None:
            raise ConfigurationError("RABBITMQ_URL is not set: amqp://[user:password@]host:port/vhost")
        url_of(settings.url.get_secret_value())
        self._settings = settings
        self._parts: Parts | None = None
        self._name = dispatcher_name()

    async def open(self) -> None:
        """Connect, read the journal, make what the namespace needs."""
        # A server in which many make the same stream at once ends some of their connections with an internal
        # error; whoever comes back finds it made.
        until = asyncio.get_running_loop().time() + self._settings.timeout_seconds
        while True:
            parts = assemble(self._settings, self._name)
            connected = False
            try:
                await connect(parts, self._settings.timeout_seconds)
                connected = True
                await start(parts)
            except BaseException as error:
                await close(parts)
                again = connected and isinstance(error, BrokerUnavailable) and error.retryable
                if not again or asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(random.uniform(*OPEN_PAUSE_SECONDS))  # noqa: S311 - nothing secret
            else:
                self._parts = parts
                return

    async def close(self) -> None:
        """Give back what cancelled receives took, and disconnect; two seconds at most."""
        parts, self._parts = self._parts, None
        if parts is not None:
            await close(parts)

    @property
    def _open_parts(self) -> Parts:
        if self._parts is None:
            raise RuntimeError("open() comes first")
        return self._parts

    async def publish(self, messages: Sequence[Message]) -> list[str | DispatcherError]:
        """See BrokerAdapter; so below."""
        return await self._open_parts.publisher.publish(messages)

    async def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:  # noqa: D102
        return await self._open_parts.receiver.receive(max_messages, wait_seconds)

    async def settle(self, receipts: Sequence[str], settlement: Settlement) -> list[str]:  # noqa: D102
        return await self._open_parts.forwarder.settle(receipts, settlement)

    async def extend(self, receipts: Sequence[str], seconds: float) -> list[datetime | None]:  # noqa: D102
        return await self._open_parts.forwarder.extend(receipts, seconds)

    async def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:  # noqa: D102
        await self._open_parts.customers.set_policy(customer, policy)

    async def inspect(self, customer: str | None) -> tuple[Backlog, CustomerPolicy | None]:  # noqa: D102
        return await self._open_parts.customers.inspect(customer)

    async def customers(self, limit: int, cursor: str | None) -> Page[CustomerBacklog]:  # noqa: D102
        return await self._open_parts.customers.page(limit, cursor)

    async def dead_letters(  # noqa: D102
        self, customer: str | None, limit: int, cursor: str | None
    ) -> Page[DeadLetter]:
        return await self._open_parts.dead_letters.page(customer, limit, cursor)

    async def end_dead_letters(  # noqa: D102
        self, customer: str, ids: Sequence[str] | None, *, redrive: bool
    ) -> int:
        return await self._open_parts.dead_letters.end(customer, ids, redrive=redrive)

    async def purge(self, customer: str) -> int:  # noqa: D102
        return await self._open_parts.customers.purge(customer)


class HashedRabbitMQAdapter(RabbitMQAdapter):
    """The same with customers that share queues by hash, for very many customers.

    Shares are fair among the messages that are fetched ahead: a flood of one customer delays those that
    share its queue. No customer can be paused. What is ready is counted for the namespace only, and purge
    reaches what is leased, delayed or fetched ahead of a customer, not what waits in the shared queue.
    """

    capabilities: ClassVar[Capabilities] = replace(
        RabbitMQAdapter.capabilities,
        policies=frozenset({"weight"}),
        max_customers=100_000,
        residue="exchanges, journal, dead letters and delays of the namespace; hashed_queues queues",
    )
