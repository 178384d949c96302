"""Queues of idle customers are removed, and nothing that arrives meanwhile is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial

import pytest

from broker_core import Delivery, FairDispatcher, Message
from broker_core.conformance.polling import Deadline
from broker_core.errors import BrokerUnavailable
from fair_rabbitmq.adapter import RabbitMQAdapter
from fair_rabbitmq.composition import Parts
from fair_rabbitmq.journal.events import Record
from fair_rabbitmq.peers import Request
from fair_rabbitmq.settings import RabbitMQSettings
from tests.servers.interface import BrokerServer


def make(server: BrokerServer, namespace: str) -> FairDispatcher:
    settings = RabbitMQSettings.load(
        url=server.url, namespace=namespace, idle_queue_seconds=1.0, lease_seconds=60
    )
    return FairDispatcher(RabbitMQAdapter(settings), settings)


def generations(dispatcher: FairDispatcher) -> dict[str, tuple[int, int]]:
    adapter = dispatcher._adapter
    assert isinstance(adapter, RabbitMQAdapter)
    known = adapter._open_parts.journal.replica.customers()
    return {one.name: (one.oldest, one.newest) for one in known}


def is_going(dispatcher: FairDispatcher, customer: str) -> bool:
    """Tell whether the customer's queue is retired, or gone."""
    adapter = dispatcher._adapter
    assert isinstance(adapter, RabbitMQAdapter)
    known = adapter._open_parts.journal.replica.customer(customer)
    return known is None or known.retired >= known.oldest


@pytest.fixture
async def pair(rabbitmq: BrokerServer) -> AsyncIterator[tuple[FairDispatcher, FairDispatcher]]:
    namespace = f"idle-{time.time_ns()}"
    async with make(rabbitmq, namespace) as first, make(rabbitmq, namespace) as second:
        yield first, second


async def test_a_queue_is_removed_when_its_customer_is_idle(
    pair: tuple[FairDispatcher, FairDispatcher],
) -> None:
    first, second = pair
    await first.publish([Message("busy"), Message("idle")])
    held = await second.receive(2, wait=5)
    await second.ack([one for one in held if one.customer == "idle"])
    await Deadline(20).until(lambda: set(generations(first)) == {"busy"}, "the end of one queue")
    # What is leased keeps its queue.
    assert len(held) == 2
    await second.ack(held)
    await Deadline(20).until(lambda: not generations(first), "the end of both queues")
    await first.publish(Message("idle", b"again"))
    (again,) = await second.receive(1, wait=5)
    assert again.message.payload == b"again"


async def test_what_arrives_while_queues_are_removed_is_delivered(
    pair: tuple[FairDispatcher, FairDispatcher],
) -> None:
    first, second = pair
    expected: list[str] = []
    received: list[str] = []

    async def consume() -> None:
        while True:
            deliveries = await second.receive(10, wait=1)
            await second.ack(deliveries)
            received.extend(delivery.id for delivery in deliveries)

    consuming = asyncio.create_task(consume())
    try:
        for _ in range(4):
            expected += await first.publish(Message("a"))
            await Deadline(20).until(lambda: is_going(first, "a"), "a queue that is being removed")
            for _ in range(100):  # over its end
                expected += await first.publish(Message("a"))
        await Deadline(20).until(lambda: len(received) >= len(expected), "all messages")
    finally:
        consuming.cancel()
        await asyncio.wait([consuming])
    assert sorted(received) == sorted(expected)


def parts_of(dispatcher: FairDispatcher) -> Parts:
    adapter = dispatcher._adapter
    assert isinstance(adapter, RabbitMQAdapter)
    return adapter._open_parts


async def test_who_hears_late_of_a_removed_queue_keeps_its_session(
    pair: tuple[FairDispatcher, FairDispatcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    await pair[0].publish([Message("idle"), Message("idle")])
    for dispatcher in pair:
        await dispatcher.ack(await dispatcher.receive(1, wait=5))
        journal = parts_of(dispatcher).journal
        monkeypatch.setattr(journal, "_take_in", partial(hear_late, journal._take_in))
    sessions = [parts_of(dispatcher).consumers.session for dispatcher in pair]
    deadline = Deadline(30)
    while generations(pair[0]) or generations(pair[1]):
        for dispatcher in pair:
            assert await dispatcher.receive(1, wait=0.02) == []
        deadline.check("the end of the queue")
    assert [parts_of(dispatcher).consumers.session for dispatcher in pair] == sessions


async def hear_late(
    take_in: Callable[[Iterable[Record]], Awaitable[None]], records: Iterable[Record]
) -> None:
    await asyncio.sleep(0.1)
    await take_in(records)


async def test_who_is_never_told_to_stay_consumes_again(
    pair: tuple[FairDispatcher, FairDispatcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair

    async def lost(*_: object) -> Request:
        raise BrokerUnavailable("the journal doesn't come back in time")

    for dispatcher in pair:
        monkeypatch.setattr(parts_of(dispatcher).retirement, "_stay_for_peer", lost)
        parts_of(dispatcher).peers.handle("stay", lost)
    await first.publish([Message("a"), Message("busy")])
    await first.ack(await first.receive(2, wait=5))
    received: list[Delivery] = []

    async def consume() -> None:
        while True:
            received.extend(await second.receive(10, wait=1))

    consuming = asyncio.create_task(consume())
    try:
        await Deadline(20).until(lambda: is_going(first, "a"), "a queue that is being removed")
        await first.publish(Message("a", b"next"))
        await Deadline(20).until(lambda: bool(received), "a message of the next queue")
    finally:
        consuming.cancel()
        await asyncio.wait([consuming])
    assert [delivery.message.payload for delivery in received] == [b"next"]
