"""Dead letters: stored, listed, redriven, removed, expired; across dispatchers and failures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest

from broker_core.conformance.polling import Deadline
from broker_core.conformance.proxy import TcpProxy
from broker_core.errors import BrokerUnavailable, InvalidArgument
from broker_core.model import DeadLetter, Message
from fair_rabbitmq.connection import Connections
from fair_rabbitmq.dead_letters import Burial, DeadLetters
from fair_rabbitmq.journal import events as e
from fair_rabbitmq.journal.replica import State
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.parcel import Parcel
from tests.adapters.rabbitmq.conftest import OpenJournal
from tests.adapters.rabbitmq.test_delays import Queue, now_ms

OpenDeadLetters = Callable[..., Awaitable[DeadLetters]]


def to_letter(burial: Burial) -> DeadLetter:
    parcel = burial.parcel
    died_at = datetime.fromtimestamp(burial.died_at / 1000, UTC)
    headers = {name: str(value) for name, value in parcel.headers.items()}
    message = Message(parcel.customer, parcel.body, headers)
    return DeadLetter(parcel.id, message, burial.attempts, burial.reason, died_at, died_at)


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
async def open_dead_letters(
    connections: Connections, namespace: str, queue: Queue
) -> AsyncIterator[OpenDeadLetters]:
    opened: list[DeadLetters] = []

    async def start(
        journal: Journal, channels: Connections = connections, retention_seconds: float = 3600.0
    ) -> DeadLetters:
        dead = DeadLetters(
            channels,
            journal,
            f"{namespace}:dead",
            queue.republish,
            to_letter,
            retention_seconds=retention_seconds,
            timeout_seconds=2.0,
        )
        await dead.start()
        opened.append(dead)
        return dead

    yield start
    for dead in opened:
        before = time.monotonic()
        await dead.close()
        await dead.close()
        assert time.monotonic() - before < 1


def burial(message_id: str, customer: str = "a", size_bytes: int = 10) -> Burial:
    parcel = Parcel(message_id, customer, message_id.encode().ljust(size_bytes), {"cost": 2})
    return Burial(parcel, 5, f"reason of {message_id}", now_ms())


async def list_ids(dead: DeadLetters, customer: str | None, limit: int = 1000) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await dead.page(customer, limit, cursor)
        assert len(page) <= limit
        found += [letter.id for letter in page]
        cursor = page.cursor
        if cursor is None:
            return found


async def test_a_dead_letter_is_kept_whole_for_all(
    open_journal: OpenJournal, open_dead_letters: OpenDeadLetters
) -> None:
    x, y = await open_journal("x"), await open_journal("y")
    first, second = await open_dead_letters(x), await open_dead_letters(y)
    await first.bury([one := burial("1")])
    (letter,) = await second.page("a", 10, None)
    assert letter == to_letter(one)
    assert y.replica.counts("a").dead == 1


async def test_pages_are_in_the_order_of_deaths(
    open_journal: OpenJournal, open_dead_letters: OpenDeadLetters
) -> None:
    x, y = await open_journal("x"), await open_journal("y")
    first, second = await open_dead_letters(x), await open_dead_letters(y)
    expected: list[str] = []
    for number in range(30):
        customer = "b" if number % 3 == 0 else "a"
        await (first, second)[number % 2].bury([burial(str(number), customer)])
        expected.append(str(number))
    assert await list_ids(second, None, 7) == expected
    assert await list_ids(first, "b", 4) == expected[::3]
    assert await list_ids(first, "unknown") == []
    for wrong in ("", "x", "dead:", "dead:-1", "dead:x", "dead:٣"):
        with pytest.raises(InvalidArgument):
            await first.page(None, 10, wrong)


async def test_many_at_once_and_large_ones(
    open_journal: OpenJournal, open_dead_letters: OpenDeadLetters
) -> None:
    journal = await open_journal("x")
    dead = await open_dead_letters(journal)
    many = [burial(f"m{number}") for number in range(2500)]
    large = [burial(f"l{number}", "b", 400_000) for number in range(8)]
    await asyncio.gather(dead.bury(many), *(dead.bury([one]) for one in large))
    assert await list_ids(dead, "a") == [one.parcel.id for one in many]
    letters = await dead.page("b", 1000, None)
    assert {letter.message.payload for letter in letters} == {one.parcel.body for one in large}


async def test_redriving_puts_back_the_same_and_purging_does_not(
    open_journal: OpenJournal, open_dead_letters: OpenDeadLetters, queue: Queue
) -> None:
    journal = await open_journal("x")
    dead = await open_dead_letters(journal)
    await dead.bury([burial(str(number)) for number in range(6)])
    await dead.bury([burial("other", "b")])
    assert await dead.end("a", ["1", "other", "none", "", "1"], redrive=True) == 1
    assert [parcel for parcel, _ in queue.came] == [burial("1").parcel]
    assert await dead.end("a", ["2", "other", "1"], redrive=False) == 1
    assert await dead.end("a", [], redrive=True) == 0
    assert await list_ids(dead, None) == ["0", "3", "4", "5", "other"]
    assert await dead.end("a", None, redrive=True) == 4
    assert queue.ids() == ["1", "0", "3", "4", "5"]
    await journal.barrier()
    assert journal.replica.counts("a").dead == 0
    assert journal.replica.attempts("3") == 0
    assert await dead.end("a", None, redrive=True) == 0
    assert await dead.end("b", None, redrive=False) == 1
    assert queue.ids() == ["1", "0", "3", "4", "5"]


async def test_of_two_that_redrive_the_same_one_does(
    open_journal: OpenJournal, open_dead_letters: OpenDeadLetters, queue: Queue
) -> None:
    first = await open_dead_letters(await open_journal("x"))
    second = await open_dead_letters(await open_journal("y"))
    await first.bury([burial(str(number)) for number in range(250)])
    counts = await asyncio.gather(*(dead.end("a", None, redrive=True) for dead in (first, second)))
    assert sum(counts) == 250
    assert sorted(queue.ids()) == sorted(map(str, range(250)))
    assert await list_ids(first, None) == []


async def test_what_could_not_be_redriven_stays_dead(
    open_journal: OpenJournal, open_dead_letters: OpenDeadLetters, queue: Queue
) -> None:
    x, y = await open_journal("x"), await open_journal("y")
    first, second = await open_dead_letters(x), await open_dead_letters(y)
    await first.bury([burial(str(number)) for number in range(5)])
    queue.failures = 2
    with pytest.raises(BrokerUnavailable):
        await first.end("a", None, redrive=True)
    assert len(queue.came) == 3
    left = await list_ids(second, None)
    assert sorted(left + queue.ids()) == ["0", "1", "2", "3", "4"]
    assert await second.end("a", None, redrive=True) == 2


async def test_a_copy_of_a_dead_letter_is_known_as_a_left_over_but_for_a_redriven_one(
    open_journal: OpenJournal, open_dead_letters: OpenDeadLetters, queue: Queue
) -> None:
    journal = await open_journal("x")
    dead = await open_dead_letters(journal)
    await dead.bury([burial("1"), burial("2")])
    await journal.barrier()
    assert journal.replica.is_buried("1")
    seen: list[bool] = []

    async def look(parcel: Parcel) -> None:
        seen.append(journal.replica.is_buried(parcel.id))

    queue.republish = look  # type: ignore[method-assign]
    dead._republish = look
    await dead.end("a", ["1"], redrive=True)
    await journal.barrier()
    assert seen == [False]
    assert (journal.replica.is_buried("1"), journal.replica.is_buried("2")) == (False, True)
    await journal.append(e.HandedOver((e.Lease("1", "a", 0),)))
    await journal.barrier()
    assert (journal.replica.state("1"), journal.replica.attempts("1")) == (State.LEASED, 1)


async def test_they_end_with_their_retention(
    open_journal: OpenJournal, open_dead_letters: OpenDeadLetters, deadline: Deadline
) -> None:
    journal = await open_journal("x")
    dead = await open_dead_letters(journal, retention_seconds=10.0)
    await dead.bury([burial(str(number)) for number in range(10_000)])
    await journal.barrier()
    assert journal.replica.counts("a").dead == 10_000
    (oldest,) = await dead.page(None, 1, None)

    async def gone() -> bool:
        count = journal.replica.counts(None).dead
        assert count == 10_000 or datetime.now(UTC).timestamp() > oldest.died_at.timestamp() + 10
        return count == 0

    await deadline.until(gone, "the end of the retention")
    assert await list_ids(dead, None) == []
    assert journal.replica.names_after("", 10) == []


async def test_cut_connections_lose_no_dead_letter(
    open_journal: OpenJournal, open_dead_letters: OpenDeadLetters, proxy: TcpProxy
) -> None:
    fragile = Connections(f"amqp://guest:guest@{proxy.host}:{proxy.port}/", "fragile", 2.0, 2)
    try:
        journal = await open_journal("x", fragile, timeout_seconds=2.0)
        dead = await open_dead_letters(journal, fragile)
        for number in range(30):
            if number % 5 == 2:
                proxy.cut_after(1500, "to_client" if number % 10 == 2 else "to_broker")
            while True:
                try:
                    await dead.bury([burial(str(number))])
                except BrokerUnavailable:
                    await asyncio.sleep(0.05)
                else:
                    break
        steady = await open_journal("y")
        assert await list_ids(await open_dead_letters(steady), None) == list(map(str, range(30)))
        await dead.close()
        await journal.close()
    finally:
        await fragile.close()


async def test_a_payload_that_is_lost_ends_its_dead_letter(
    open_journal: OpenJournal,
    open_dead_letters: OpenDeadLetters,
    deadline: Deadline,
) -> None:
    journal = await open_journal("x")
    dead = await open_dead_letters(journal)
    await dead.bury([burial("1"), burial("2")])
    # As if the stream had lost the entry: its first position is beyond what is there.
    await journal.barrier()
    first = journal.replica.dead.get("1")
    assert first is not None
    await journal.append(e.Died((e.Death("3", "a", first.place + 7, now_ms()),)))
    assert await list_ids(dead, None) == ["1", "2"]

    async def counted() -> bool:
        return journal.replica.counts("a").dead == 2

    await deadline.until(counted, "the lost one not to be counted")
