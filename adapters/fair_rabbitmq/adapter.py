"""The seam's methods over RabbitMQ."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Self, cast

from broker_core.adapter import BrokerAdapter, Capabilities, Settlement
from broker_core.errors import BrokerUnavailable, ConfigurationError, DispatcherError
from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, DeadLetter, Delivery, Message, Page
from fair_rabbitmq.connection import Connections, url_of
from fair_rabbitmq.consuming import Consumers
from fair_rabbitmq.customers import Customers
from fair_rabbitmq.dead_letters import DeadLetters
from fair_rabbitmq.delays import Delays
from fair_rabbitmq.expiry import Expiry
from fair_rabbitmq.forwarding import Forwarder
from fair_rabbitmq.journal.events import (
    CustomerRemoved,
    CustomerRetired,
    CustomerSeen,
    Ended,
    Event,
    PolicySet,
    Revived,
)
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.leases import Leases, Recent
from fair_rabbitmq.line import Line
from fair_rabbitmq.peers import Peers
from fair_rabbitmq.policies import Policies
from fair_rabbitmq.publishing import Publisher
from fair_rabbitmq.queues import Queues
from fair_rabbitmq.receipts import Receipts, dispatcher_name
from fair_rabbitmq.receiving import Receiver
from fair_rabbitmq.records import DUE, REDRIVEN, letter_of
from fair_rabbitmq.registry import Registry
from fair_rabbitmq.retirement import Retirement
from fair_rabbitmq.scheduling import Scheduler
from fair_rabbitmq.session import Session
from fair_rabbitmq.settings import RabbitMQSettings
from fair_rabbitmq.settling import Settler
from fair_rabbitmq.subscriptions import Subscriptions
from fair_rabbitmq.topology import Topology

CONNECT_PAUSES_SECONDS = (0.1, 0.2, 0.4)
OPEN_PAUSE_SECONDS = (0.1, 0.6)
FEW_DISPATCHERS = 3
POLITE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Parts:
    """All that an open adapter consists of, in the order in which it is closed."""

    receiver: Receiver
    forwarder: Forwarder
    settler: Settler
    expiry: Expiry
    publisher: Publisher
    peers: Peers
    delays: Delays
    dead_letters: DeadLetters
    consumers: Consumers
    journal: Journal
    connections: Connections
    customers: Customers
    registry: Registry
    retirement: Retirement


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
        self._parts: _Parts | None = None
        self._name = dispatcher_name()

    async def open(self) -> None:
        """Connect, read the journal, make what the namespace needs."""
        # A server in which many make the same stream at once ends some of their connections with an internal
        # error; whoever comes back finds it made.
        until = asyncio.get_running_loop().time() + self._settings.timeout_seconds
        while True:
            parts = _assemble(self._settings, self._name)
            connected = False
            try:
                await _until_connected(parts.connections)
                connected = True
                await _start(parts)
            except BaseException as error:
                await _close(parts)
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
            await _close(parts)

    @property
    def _open_parts(self) -> _Parts:
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


def _assemble(settings: RabbitMQSettings, name: str) -> _Parts:
    topology = Topology(settings.namespace, settings.queue_type, settings.hashed_queues)
    url = settings.url.get_secret_value() if settings.url is not None else ""
    timeout = settings.timeout_seconds
    connections = Connections(
        url, f"fair-dispatcher {settings.namespace}", timeout, settings.heartbeat_seconds
    )
    journal = Journal(connections, topology.journal, dispatcher=name, timeout_seconds=timeout)
    line = Line(connections.publisher, confirms=False)
    registry = Registry(topology, journal, line)
    publisher = Publisher(connections.publisher, topology, registry, settings.dedup_window)
    delays = Delays(
        connections, journal, topology.delays, partial(publisher.republish, came=DUE), timeout_seconds=timeout
    )
    dead_letters = DeadLetters(
        connections,
        journal,
        topology.dead_letters,
        partial(publisher.republish, came=REDRIVEN),
        letter_of,
        retention_seconds=settings.dead_letter_retention,
        timeout_seconds=timeout,
    )
    peers = Peers(connections, topology, journal)
    leases, ended = Leases(), Recent()

    def on_arrival(customer: str) -> None:
        scheduler.has_news_of(customer)
        receiver.news.tell()

    def on_lost(session: Session) -> None:
        leases.lose(session)
        subscriptions.look_anew()
        journal.leasing.lose_leases()
        receiver.news.tell()

    def on_cancelled() -> None:
        subscriptions.look_anew()
        receiver.news.tell()

    consumer_line = Line(connections.consumer, confirms=False)
    queues = Queues(connections.consumer, consumer_line)
    consumers = Consumers(
        connections.consumer, queues, settings.max_buffered, on_arrival, on_lost, on_cancelled
    )
    policies = Policies(journal)
    subscriptions = Subscriptions(
        journal, topology, policies, consumers, queues, consumer_line, settings.quantum
    )
    scheduler = Scheduler(topology, policies, consumers, subscriptions, queues, settings.quantum)
    settler = Settler(settings, journal, scheduler, leases, delays, dead_letters, ended)
    forwarder = Forwarder(journal, consumers, settler, peers)
    expiry = Expiry(leases, settler, settings.max_attempts)
    receiver = Receiver(
        settings, journal, scheduler, leases, settler, dead_letters, peers, Receipts(name), ended
    )
    customers = Customers(
        journal, topology, line, consumers, queues, scheduler, receiver, settler, leases, peers
    )

    def is_alone() -> bool:
        return len(journal.replica.writers.live()) <= 1

    def stays_here() -> bool:
        return is_alone() and (receiver.is_wanted or receiver.is_lingering)

    subscriptions.on_change = receiver.news.tell
    scheduler.is_one_of_many = lambda: len(journal.replica.writers.live()) > FEW_DISPATCHERS
    scheduler.stays_here = stays_here

    retirement = Retirement(
        journal, topology, line, queues, subscriptions, leases, peers, settings.idle_queue_seconds
    )
    publisher.on_publish = retirement.note_published

    def on_event(writer: str, event: Event) -> None:
        retirement.note(event)
        if isinstance(event, _OF_CUSTOMERS):
            subscriptions.look_anew()
            receiver.news.tell()
        elif isinstance(event, Ended) and writer != name:
            for message_id in event.ids:
                ended.add(message_id)
        elif isinstance(event, Revived):
            for message_id, _ in event.deaths:
                ended.discard(message_id)

    journal.listen(on_event, subscriptions.look_anew)
    return _Parts(
        receiver,
        forwarder,
        settler,
        expiry,
        publisher,
        peers,
        delays,
        dead_letters,
        consumers,
        journal,
        connections,
        customers,
        registry,
        retirement,
    )


_OF_CUSTOMERS = (CustomerSeen, CustomerRetired, CustomerRemoved, PolicySet)


async def _start(parts: _Parts) -> None:
    await parts.journal.start()
    await parts.registry.declare_exchanges(Line(parts.connections.consumer, confirms=False))
    await parts.peers.start()
    await parts.delays.start()
    await parts.dead_letters.start()
    parts.expiry.start()
    parts.retirement.start()


async def _close(parts: _Parts) -> None:
    # A broker that went silent lets each step wait as long as it may; without connections none waits.
    cutting = asyncio.get_running_loop().call_later(POLITE_SECONDS, parts.connections.cut)
    try:
        await _end(parts)
    finally:
        await parts.connections.close()
        cutting.cancel()


async def _end(parts: _Parts) -> None:
    await parts.retirement.close()
    await parts.receiver.close()
    await parts.settler.close()
    await parts.expiry.close()
    await asyncio.gather(
        parts.consumers.close(),
        parts.publisher.close(),
        parts.peers.close(),
        parts.delays.close(),
        parts.dead_letters.close(),
    )
    await parts.journal.close()


async def _until_connected(connections: Connections) -> None:
    for pause_seconds in CONNECT_PAUSES_SECONDS:
        try:
            await asyncio.gather(connections.publisher.connection(), connections.consumer.connection())
        except BrokerUnavailable as error:
            if not error.retryable:
                raise
            await asyncio.sleep(pause_seconds)
        else:
            return
    await asyncio.gather(connections.publisher.connection(), connections.consumer.connection())
