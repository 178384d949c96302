"""The journal on a server: order, snapshots, outages, silence."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from broker_core.conformance.polling import Deadline
from broker_core.conformance.proxy import TcpProxy
from broker_core.errors import BrokerUnavailable, Closed
from fair_rabbitmq.connection import Connections
from fair_rabbitmq.journal import events as e
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.journal.wire import StreamReader
from tests.adapters.rabbitmq.conftest import OpenJournal
from tests.adapters.rabbitmq.test_journal_snapshots import describe, lease

_BIG = b"x" * 20_000


@pytest.fixture
async def fragile(proxy: TcpProxy) -> AsyncIterator[Connections]:
    """Connections that can be cut."""
    connections = Connections(f"amqp://guest:guest@{proxy.host}:{proxy.port}/", "fragile", 1.0, 2)
    yield connections
    await connections.close()


async def assert_same(*journals: Journal) -> None:
    for journal in journals:
        await journal.barrier()
    # Barriers of the others count as records too.
    for journal in journals:
        await journal.barrier()
    states = []
    for journal in journals:
        state = describe(journal.replica)
        assert isinstance(state, tuple)
        states.append((*state[:6], *state[7:9]))
    assert all(state == states[0] for state in states)


async def test_everybody_holds_what_was_confirmed(open_journal: OpenJournal) -> None:
    x, y = await open_journal("x"), await open_journal("y")
    heard: list[tuple[str, e.Event]] = []
    y.listen(lambda dispatcher, event: heard.append((dispatcher, event)))
    await x.append(lease("1"), lease("2"))
    await x.append(e.Ended(("1",)))
    await y.barrier()
    assert y.replica.lease_owner("2") == "x"
    assert y.replica.counts(None).leased == 1
    told = [one for one in heard if not isinstance(one[1], e.Barrier | e.Alive)]
    assert told == [("x", lease("1")), ("x", lease("2")), ("x", e.Ended(("1",)))]
    z = await open_journal("z")
    await assert_same(x, y, z)


async def test_appends_at_the_same_time_share_records(open_journal: OpenJournal) -> None:
    x = await open_journal("x")
    before = x.replica.writers.last_number("x")
    await asyncio.gather(*(x.append(lease(str(number))) for number in range(1000)))
    await x.barrier()
    assert x.replica.counts(None).leased == 1000
    assert x.replica.writers.last_number("x") - before < 20


async def test_opening_reads_a_snapshot_and_what_came_after_it(
    open_journal: OpenJournal,
    connections: Connections,
    namespace: str,
    deadline: Deadline,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However much was written; the stream stays small, and the oldest state survives in it."""
    sizes = {"max_bytes": 2_000_000, "segment_bytes": 250_000, "snapshot_bytes": 300_000}
    x, y = await open_journal("x", **sizes), await open_journal("y", **sizes)
    await x.append(lease("oldest"), e.PolicySet("p", None))
    for number in range(400):
        await (x, y)[number % 2].append(lease(f"m{number}"), e.Note("", "", _BIG))
    await y.barrier()
    assert y.replica.counts(None).leased == 401

    async def cut() -> bool:
        async with StreamReader(connections, f"{namespace}:journal", "first", timeout_seconds=5) as reader:
            return (await reader.next(5))[0].offset > 50

    await deadline.until(cut, "the oldest segments to be removed")
    with caplog.at_level(logging.WARNING):
        others = await asyncio.gather(*(open_journal(name, **sizes) for name in ("u", "v", "w")))
    assert not [record for record in caplog.records if record.name.startswith("fair_rabbitmq")]
    await assert_same(x, y, *others)
    assert others[0].replica.lease_owner("oldest") == "x"


async def test_cut_connections_lose_and_repeat_nothing(
    open_journal: OpenJournal, fragile: Connections, proxy: TcpProxy
) -> None:
    x, y = await open_journal("x", fragile, timeout_seconds=5.0), await open_journal("y")
    stop = time.monotonic() + 3
    appended = 0
    while time.monotonic() < stop:
        if appended % 20 == 10:
            proxy.cut_after(2000, "to_client" if appended % 40 == 10 else "to_broker")
        await x.append(lease("1"), e.Returned(("1",)))
        appended += 1
    await y.barrier()
    assert y.replica.attempts("1") == appended
    await assert_same(x, y)


async def test_what_waits_for_the_broker_is_stored_once_it_is_back(
    open_journal: OpenJournal, fragile: Connections, proxy: TcpProxy, deadline: Deadline
) -> None:
    x, y = await open_journal("x", fragile, timeout_seconds=1.0), await open_journal("y")
    await proxy.refuse()
    before = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        await x.append(lease("1"))
    x.append_soon(lease("2"))
    with pytest.raises(BrokerUnavailable):
        await x.barrier()
    assert time.monotonic() - before < 5
    assert x.replica.counts(None).leased == 0
    await proxy.accept()

    async def stored() -> bool:
        return y.replica.attempts("1") == y.replica.attempts("2") == 1

    await deadline.until(stored, "what was appended in the outage")

    async def back() -> bool:
        try:
            await x.barrier()
        except BrokerUnavailable:
            return False
        return True

    await deadline.until(back, "the way back to the broker")
    await assert_same(x, y)


async def test_a_broker_that_hangs_holds_up_neither_append_nor_close(
    open_journal: OpenJournal, fragile: Connections, proxy: TcpProxy
) -> None:
    x = await open_journal("x", fragile, timeout_seconds=1.0)
    proxy.swallow("to_broker")
    before = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        await x.append(lease("1"))
    assert time.monotonic() - before < 3
    before = time.monotonic()
    await x.close()
    assert time.monotonic() - before < 1
    with pytest.raises(Closed):
        await x.append(lease("2"))
    x.append_soon(lease("3"))


async def test_a_dispatcher_that_is_silent_is_gone_and_comes_back(
    open_journal: OpenJournal, fragile: Connections, proxy: TcpProxy, deadline: Deadline
) -> None:
    times = {"heartbeat_seconds": 0.1, "silence_seconds": 1.0}
    x, y = await open_journal("x", fragile, **times), await open_journal("y", **times)
    heard: list[e.Event] = []
    x.listen(lambda dispatcher, event: heard.append(event))
    await x.append(lease("1"))
    await y.barrier()
    await proxy.refuse()

    async def gone() -> bool:
        return y.replica.counts(None).leased == 0

    await deadline.until(gone, "the end of the silent dispatcher's leases")
    assert y.replica.writers.live() == ["y"]
    assert y.replica.attempts("1") == 1
    await proxy.accept()

    async def lives() -> bool:
        return y.replica.writers.is_live("x") and e.Gone("x") in heard

    await deadline.until(lives, "the return of the dispatcher")
    await assert_same(x, y)


async def test_one_that_lives_is_never_thought_to_be_gone(open_journal: OpenJournal) -> None:
    times = {"heartbeat_seconds": 0.1, "silence_seconds": 0.6}
    x, y = await open_journal("x", **times), await open_journal("y", **times)
    heard: list[e.Event] = []
    x.listen(lambda dispatcher, event: heard.append(event))
    await asyncio.sleep(1.5)  # nothing but heartbeats
    assert heard
    assert not [event for event in heard if isinstance(event, e.Gone)]
    await y.close()
    await x.barrier()
    assert e.Gone("y") in heard
    assert x.replica.writers.live() == ["x"]


async def test_who_leaves_does_not_contradict_itself(
    open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it reads that it is gone before it knows that this was stored."""
    x, y = await open_journal("x"), await open_journal("y")
    put = y._appender.put

    def slow(events: Sequence[e.Event]) -> asyncio.Future[int]:
        return asyncio.ensure_future(read_first(put(events)))

    async def read_first(stored: asyncio.Future[int]) -> int:
        number = await stored
        async with asyncio.timeout(10):
            while y.replica.writers.last_number("y") < number:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return number

    monkeypatch.setattr(y._appender, "put", slow)
    await y.close()
    await x.barrier()
    assert x.replica.writers.live() == ["x"]


async def test_who_missed_too_much_reads_anew(
    open_journal: OpenJournal, fragile: Connections, proxy: TcpProxy, deadline: Deadline
) -> None:
    sizes = {"max_bytes": 1_000_000, "segment_bytes": 100_000, "snapshot_bytes": 200_000}
    x, y = await open_journal("x", fragile, **sizes), await open_journal("y", **sizes)
    reloaded: list[bool] = []
    x.listen(lambda dispatcher, event: None, lambda: reloaded.append(True))
    await x.append(lease("mine"))
    await proxy.refuse()
    for number in range(200):
        await y.append(lease(f"m{number}"), e.Note("", "", _BIG))
    await proxy.accept()

    async def knows() -> bool:
        return bool(reloaded) and x.replica.counts(None).leased == 201

    await deadline.until(knows, "what was written meanwhile")
    await assert_same(x, y)


async def test_a_stream_that_was_deleted_is_made_anew(
    open_journal: OpenJournal, connections: Connections, namespace: str, deadline: Deadline
) -> None:
    x = await open_journal("x")
    await x.append(lease("1"))
    channel = await connections.consuming()
    await channel.queue_delete(f"{namespace}:journal")

    async def works() -> bool:
        try:
            await x.append(lease("2"))
            await x.barrier()
        except BrokerUnavailable:
            return False
        return x.replica.attempts("2") > 0

    await deadline.until(works, "a new stream")


async def test_starting_without_a_broker_leaves_nothing(
    fragile: Connections, proxy: TcpProxy, namespace: str
) -> None:
    await proxy.refuse()
    before = asyncio.all_tasks()
    journal = Journal(fragile, f"{namespace}:journal", dispatcher="x", timeout_seconds=0.5)
    with pytest.raises(BrokerUnavailable):
        await journal.start()
    await fragile.close()
    assert asyncio.all_tasks() <= before
