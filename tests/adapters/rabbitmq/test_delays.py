"""Delayed messages come back when they are due, once, and not when they were purged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from broker_core.conformance.polling import Deadline
from broker_core.conformance.proxy import TcpProxy
from broker_core.errors import BrokerUnavailable
from fair_rabbitmq.connection import Connections
from fair_rabbitmq.delays import Delays
from fair_rabbitmq.journal import events as e
from fair_rabbitmq.journal.replica import Counts
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.parcel import Parcel
from tests.adapters.rabbitmq.conftest import OpenJournal

OpenDelays = Callable[..., Awaitable[Delays]]


class Queue:
    """Stands for the customers' queues: notes what is put back, and when."""

    def __init__(self) -> None:
        self.came: list[tuple[Parcel, int]] = []
        self.failures = 0

    async def republish(self, parcel: Parcel) -> None:
        if self.failures:
            self.failures -= 1
            raise BrokerUnavailable("on purpose")
        self.came.append((parcel, now_ms()))

    def ids(self) -> list[str]:
        return [parcel.id for parcel, _ in self.came]


def now_ms() -> int:
    return int(time.time() * 1000)


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
async def open_delays(connections: Connections, namespace: str, queue: Queue) -> AsyncIterator[OpenDelays]:
    opened: list[Delays] = []

    async def start(journal: Journal, channels: Connections = connections) -> Delays:
        delays = Delays(channels, journal, f"{namespace}:delay", queue.republish)
        await delays.start()
        opened.append(delays)
        return delays

    yield start
    for delays in opened:
        before = time.monotonic()
        await delays.close()
        await delays.close()
        assert time.monotonic() - before < 1


async def lease_and_delay(journal: Journal, delays: Delays, milliseconds: int, *ids: str) -> int:
    await journal.append(e.HandedOver(tuple(e.Lease(one, "a", 0) for one in ids)))
    due = now_ms() + milliseconds
    await delays.delay([Parcel(one, "a", b"\x00body", {"cost": 3}) for one in ids], due)
    return due


async def test_messages_come_back_when_they_are_due(
    open_journal: OpenJournal, open_delays: OpenDelays, queue: Queue, deadline: Deadline
) -> None:
    journal = await open_journal("x")
    delays = await open_delays(journal)
    due = {}
    for milliseconds in (1, 100, 256, 400, 800, 1900):
        name = str(milliseconds)
        due[name] = await lease_and_delay(journal, delays, milliseconds, name)

    async def all_back() -> bool:
        return len(queue.came) == len(due)

    await deadline.until(all_back, "all delayed messages")
    for parcel, at in queue.came:
        assert parcel == Parcel(parcel.id, "a", b"\x00body", {"cost": 3})
        assert 0 <= at - due[parcel.id] < 1500

    async def counted() -> bool:
        return journal.replica.counts(None) == Counts()

    await deadline.until(counted, "no message to be delayed any more")
    assert journal.replica.attempts("1900") == 1


async def test_a_long_delay_waits_in_the_broker(
    open_journal: OpenJournal,
    open_delays: OpenDelays,
    queue: Queue,
    connections: Connections,
    namespace: str,
) -> None:
    journal = await open_journal("x")
    delays = await open_delays(journal)
    await lease_and_delay(journal, delays, 365 * 86_400_000, "year")
    await lease_and_delay(journal, delays, 60_000, "minute")
    await journal.barrier()
    assert journal.replica.counts("a") == Counts(delayed=2)
    channel = await connections.consuming()
    for length in (1 << 31, 1 << 15):
        declared = await channel.get_queue(f"{namespace}:delay:{length}")
        assert declared.declaration_result.message_count == 1
    assert queue.came == []


async def test_another_dispatcher_puts_back_what_is_due(
    open_journal: OpenJournal, open_delays: OpenDelays, queue: Queue, deadline: Deadline
) -> None:
    x, y = await open_journal("x"), await open_journal("y")
    first = await open_delays(x)
    await lease_and_delay(x, first, 700, *map(str, range(50)))
    await first.close()
    await x.close()
    await open_delays(y)

    async def back() -> bool:
        return len(queue.came) == 50 and y.replica.counts(None).delayed == 0

    await deadline.until(back, "the messages of the dispatcher that left")
    assert sorted(queue.ids()) == sorted(map(str, range(50)))


async def test_purged_messages_dont_come_back(
    open_journal: OpenJournal, open_delays: OpenDelays, queue: Queue, deadline: Deadline
) -> None:
    journal = await open_journal("x")
    delays = await open_delays(journal)
    await lease_and_delay(journal, delays, 600, "1", "2")
    await journal.append(e.Purged("a"))
    await lease_and_delay(journal, delays, 700, "3")

    async def back() -> bool:
        return "3" in queue.ids()

    await deadline.until(back, "the message that was delayed after the purge")
    assert queue.ids() == ["3"]


async def test_a_left_over_copy_is_dropped(
    open_journal: OpenJournal, open_delays: OpenDelays, queue: Queue, deadline: Deadline
) -> None:
    """A consumer that crashed after storing the copy left both; the original was handed over again."""
    journal = await open_journal("x")
    delays = await open_delays(journal)
    await lease_and_delay(journal, delays, 500, "1")
    due = await lease_and_delay(journal, delays, 900, "1")

    async def back() -> bool:
        return bool(queue.came)

    await deadline.until(back, "the second delay")
    assert queue.came[0][1] >= due
    await lease_and_delay(journal, delays, 300, "2")

    async def second() -> bool:
        return "2" in queue.ids()

    await deadline.until(second, "another message")
    assert queue.ids() == ["1", "2"]


async def test_what_cannot_be_put_back_is_tried_again(
    open_journal: OpenJournal, open_delays: OpenDelays, queue: Queue, deadline: Deadline
) -> None:
    journal = await open_journal("x")
    delays = await open_delays(journal)
    queue.failures = 2
    await lease_and_delay(journal, delays, 100, "1", "2", "3")

    async def back() -> bool:
        return journal.replica.counts(None) == Counts() and len(queue.came) == 3

    await deadline.until(back, "a second try")
    assert sorted(queue.ids()) == ["1", "2", "3"]


async def test_cut_connections_lose_no_delayed_message(
    open_journal: OpenJournal,
    open_delays: OpenDelays,
    queue: Queue,
    proxy: TcpProxy,
    deadline: Deadline,
) -> None:
    fragile = Connections(f"amqp://guest:guest@{proxy.host}:{proxy.port}/", "fragile", 2.0, 2)
    try:
        journal = await open_journal("x", fragile, timeout_seconds=2.0)
        delays = await open_delays(journal, fragile)
        ids = list(map(str, range(40)))
        await lease_and_delay(journal, delays, 900, *ids)
        for _ in range(4):
            proxy.cut()
            await asyncio.sleep(0.4)

        async def back() -> bool:
            return set(queue.ids()) == set(ids) and journal.replica.counts(None) == Counts()

        await deadline.until(back, "all messages in spite of it")
        await delays.close()
        await journal.close()
    finally:
        await fragile.close()


async def test_what_is_no_delayed_message_is_dropped(
    open_journal: OpenJournal,
    open_delays: OpenDelays,
    queue: Queue,
    connections: Connections,
    namespace: str,
    deadline: Deadline,
) -> None:
    journal = await open_journal("x")
    delays = await open_delays(journal)
    channel = await (await connections.publishing()).get_underlay_channel()
    await channel.basic_publish(b"\xff\xff", routing_key=f"{namespace}:delay:due")
    await lease_and_delay(journal, delays, 100, "1")

    async def back() -> bool:
        return queue.ids() == ["1"]

    await deadline.until(back, "the message behind it")


async def test_what_could_not_be_delayed_is_leased_and_can_be_delayed_again(
    open_journal: OpenJournal,
    open_delays: OpenDelays,
    queue: Queue,
    deadline: Deadline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = await open_journal("x")
    delays = await open_delays(journal)

    async def fail(*args: object, **kwargs: object) -> None:
        raise BrokerUnavailable("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(delays._publisher, "publish", fail)
        with pytest.raises(BrokerUnavailable):
            await lease_and_delay(journal, delays, 300, "1", "2")
    await journal.barrier()
    assert journal.replica.counts("a") == Counts(leased=2)
    await journal.append(e.Ended(("2",)))
    due = now_ms() + 300
    await delays.delay([Parcel("1", "a", b"")], due)

    async def back() -> bool:
        return queue.ids() == ["1"] and journal.replica.counts("a") == Counts()

    await deadline.until(back, "the one that was delayed again")
    assert queue.came[0][1] >= due
