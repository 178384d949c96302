"""Makes, starts and ends all that an open adapter consists of, and connects the parts with one another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from broker_core.reaching import reach
from fair_rabbitmq.connection import Connections
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
from fair_rabbitmq.receipts import Receipts
from fair_rabbitmq.receiving import Receiver
from fair_rabbitmq.records import DUE, REDRIVEN, Ids, letter_of
from fair_rabbitmq.registry import Registry
from fair_rabbitmq.retirement import Retirement
from fair_rabbitmq.scheduling import Scheduler
from fair_rabbitmq.session import Session
from fair_rabbitmq.settings import RabbitMQSettings
from fair_rabbitmq.settling import Settler
from fair_rabbitmq.subscriptions import Subscriptions
from fair_rabbitmq.topology import Topology

CONNECT_PAUSES_SECONDS = (0.1, 0.2, 0.4)
ADVICE = (
    "check host and port in RABBITMQ_URL, and that amqp:// leads to a port without TLS, "
    "amqps:// to one with TLS"
)
FEW_DISPATCHERS = 3
POLITE_SECONDS = 1.0
_OF_CUSTOMERS = (CustomerSeen, CustomerRetired, CustomerRemoved, PolicySet)


@dataclass(frozen=True, slots=True)
class Parts:
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


def assemble(settings: RabbitMQSettings, name: str) -> Parts:
    """Make the parts of a dispatcher of that name, and tell each what it has to hear of others."""
    topology = Topology(settings.namespace, settings.queue_type, settings.hashed_queues)
    url = settings.url.get_secret_value() if settings.url is not None else ""
    timeout = settings.timeout_seconds
    connections = Connections(
        url, f"fair-dispatcher {settings.namespace}", timeout, settings.heartbeat_seconds
    )
    journal = Journal(connections, topology.journal, dispatcher=name, timeout_seconds=timeout)
    line = Line(connections.publisher, confirms=False)
    registry = Registry(topology, journal, line)
    ids = Ids()
    publisher = Publisher(connections.publisher, topology, registry, ids, settings.dedup_window)
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
        connections.consumer, queues, ids, settings.max_buffered, on_arrival, on_lost, on_cancelled
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
    scheduler.is_alone = is_alone
    scheduler.stays_here = stays_here

    retirement = Retirement(
        journal, topology, line, queues, subscriptions, leases, peers, settings.idle_queue_seconds
    )
    publisher.on_publish = retirement.note_published
    publisher.on_stored = scheduler.expect

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
    return Parts(
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


async def connect(parts: Parts, timeout_seconds: float) -> None:
    """Connect, trying again a few times; raises BrokerUnavailable."""
    connections = parts.connections
    await reach(
        lambda: asyncio.gather(connections.publisher.connection(), connections.consumer.connection()),
        pauses_seconds=CONNECT_PAUSES_SECONDS,
        timeout_seconds=timeout_seconds,
        advice=ADVICE,
    )


async def start(parts: Parts) -> None:
    """Read the journal and make what the namespace needs; raises BrokerUnavailable."""
    await parts.journal.start()
    await parts.registry.declare_exchanges(Line(parts.connections.consumer, confirms=False))
    await parts.peers.start()
    await parts.delays.start()
    await parts.dead_letters.start()
    parts.expiry.start()
    parts.retirement.start()


async def close(parts: Parts) -> None:
    """Give back what can be, and disconnect; two seconds at most, whether it was started or not."""
    # A broker that went silent lets each step wait as long as it may; without connections none waits.
    cutting = asyncio.get_running_loop().call_later(POLITE_SECONDS, parts.connections.cut)
    try:
        await _end(parts)
    finally:
        await parts.connections.close()
        cutting.cancel()


async def _end(parts: Parts) -> None:
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
