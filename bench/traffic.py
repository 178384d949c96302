"""Publishes and consumes a known number of messages, with proof that each was delivered exactly once."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.model import Bench, Metrics
from broker_core import Delivery, FairDispatcher, Message, open_dispatcher

PAYLOAD = bytes(range(100))
BATCH = 200
QUANTUM = 10
NAMESPACE = "bench"
WAIT_SECONDS = 0.2
STALL_SECONDS = 10.0
# Longer than usual: hundreds of queues or partitions are made at once, by a machine that is kept busy.
TIMEOUT_SECONDS = 60.0


def dispatcher(bench: Bench, **settings: Any) -> FairDispatcher:
    """Return a dispatcher of the product on the case's server; to be opened."""
    address = "bootstrap_servers" if bench.broker == "kafka" else "url"
    settings = {address: bench.url, "namespace": NAMESPACE, "quantum": QUANTUM, **settings}
    if bench.broker != "redis":
        settings.setdefault("timeout_seconds", TIMEOUT_SECONDS)
    return open_dispatcher(bench.broker, **settings)


def names(count: int) -> list[str]:
    """Return that many customers."""
    return [f"customer-{number:06d}" for number in range(count)]


class Consumable(Protocol):
    """What is measured: FairDispatcher, or something with the same three verbs."""

    async def publish(self, messages: Sequence[Message]) -> Sequence[str]: ...
    async def receive(self, max_messages: int, wait: float) -> Sequence[Delivery]: ...
    async def ack(self, deliveries: Sequence[Delivery]) -> None: ...


@dataclass(frozen=True, slots=True)
class Traffic:
    """The same number of messages for each customer; neighbours in a batch are of different customers."""

    customers: Sequence[str]
    each: int
    payload: bytes = PAYLOAD
    batch: int = BATCH

    @property
    def total(self) -> int:
        """How many messages."""
        return len(self.customers) * self.each

    def batches(self) -> Iterator[list[Message]]:
        """Make the messages, batch by batch."""
        owners = itertools.chain.from_iterable(itertools.repeat(self.customers, self.each))
        while some := list(itertools.islice(owners, self.batch)):
            yield [Message(customer, self.payload) for customer in some]


@dataclass(slots=True)
class Tally:
    """The ids that publish returned and those that were handed over."""

    published: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Record one batch in the order of hand-over."""
        self.received += [delivery.id for delivery in deliveries]

    def proof(self) -> dict[str, float]:
        """Count what was lost and what came more than once."""
        received = set(self.received)
        return {
            "lost": len(set(self.published) - received),
            "duplicated": len(self.received) - len(received),
            "unknown": len(received - set(self.published)),
        }


async def publish(d: Consumable, batches: Iterator[list[Message]], tally: Tally, tasks: int) -> None:
    """Publish all batches by that many tasks."""

    async def one() -> None:
        for batch in batches:
            tally.published += await d.publish(batch)

    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(one())


async def consume(
    d: Consumable,
    total: int,
    tally: Tally,
    tasks: int,
    on_batch: Callable[[], None] | None = None,
    batch: int = BATCH,
) -> float:
    """Receive and ack until `total` messages are acked; return the time of the last ack."""
    acked = 0
    last = time.perf_counter()

    async def one() -> None:
        nonlocal acked, last
        while acked < total:
            deliveries = await d.receive(batch, wait=WAIT_SECONDS)
            if not deliveries:
                if time.perf_counter() - last > STALL_SECONDS:
                    raise RuntimeError(f"nothing came for {STALL_SECONDS:g} s, {total - acked} are missing")
                continue
            tally.take(deliveries)
            await d.ack(deliveries)
            acked += len(deliveries)
            last = time.perf_counter()
            if on_batch is not None:
                on_batch()

    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(one())
    return last


async def make_known(d: Consumable, customers: Sequence[str]) -> None:
    """Let each have one message handled, so that what the broker makes for a customer is there already."""
    one_each, tally = Traffic(customers, 1), Tally()
    await publish(d, one_each.batches(), tally, tasks=1)
    await consume(d, one_each.total, tally, tasks=1)


async def drain_after(d: Consumable, traffic: Traffic, publishers: int, consumers: int) -> Metrics:
    """Publish everything, then receive and ack everything; messages a second of the parts and the whole."""
    tally = Tally()
    start = time.perf_counter()
    await publish(d, traffic.batches(), tally, publishers)
    middle = time.perf_counter()
    end = await consume(d, traffic.total, tally, consumers, batch=traffic.batch)
    return tally.proof() | {
        "end_to_end": traffic.total / (end - start),
        "publish": traffic.total / (middle - start),
        "receive_ack": traffic.total / (end - middle),
    }


async def drain_meanwhile(d: Consumable, traffic: Traffic, publishers: int, consumers: int) -> Metrics:
    """Receive and ack while publishing goes on; messages a second from the first publish to the last ack."""
    tally = Tally()
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        group.create_task(publish(d, traffic.batches(), tally, publishers))
        consuming = group.create_task(consume(d, traffic.total, tally, consumers, batch=traffic.batch))
    return tally.proof() | {"end_to_end": traffic.total / (consuming.result() - start)}
