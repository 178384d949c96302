"""Under an alarm RabbitMQ takes no messages: publishing is refused at once, and it can be emptied."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial

import pytest

from broker_core import Backlog, Delivery, FairDispatcher, Message
from broker_core.adapter import BrokerAdapter
from broker_core.conformance.polling import Deadline
from broker_core.errors import BrokerFull, DispatcherError, PublishFailed
from fair_rabbitmq.adapter import RabbitMQAdapter
from fair_rabbitmq.connection import Connections
from fair_rabbitmq.journal import events as e
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.settings import RabbitMQSettings
from tests.adapters.rabbitmq.alarming import memory_alarm
from tests.servers.rabbitmq_local import LocalRabbitMQ, debian_rabbitmq

# What needs no answer of a broker that is full is quick; this catches what waits for a time-out.
QUICK_SECONDS = 2.0


@pytest.fixture(scope="module")
def server() -> Iterator[LocalRabbitMQ]:
    server = LocalRabbitMQ(debian_rabbitmq())
    server.start()
    yield server
    server.stop()


class Dispatchers:
    """Dispatchers of one namespace, closed at the end."""

    def __init__(self, server: LocalRabbitMQ, namespace: str, stack: AsyncExitStack) -> None:
        self._server, self._namespace, self._stack = server, namespace, stack
        self.adapters: list[RabbitMQAdapter] = []

    async def open(self, **settings: object) -> FairDispatcher:
        loaded = RabbitMQSettings.load(
            url=self._server.url, namespace=self._namespace, **{"timeout_seconds": 5.0, **settings}
        )
        adapter = RabbitMQAdapter(loaded)
        self.adapters.append(adapter)
        return await self._stack.enter_async_context(FairDispatcher(adapter, loaded))


@pytest.fixture
async def dispatchers(server: LocalRabbitMQ, namespace: str) -> AsyncIterator[Dispatchers]:
    async with AsyncExitStack() as stack:
        yield Dispatchers(server, namespace, stack)


def messages(count: int, customers: int = 3) -> list[Message]:
    return [Message(f"c{number % customers}", b"%d" % number) for number in range(count)]


async def until_refused(dispatcher: FairDispatcher, deadline: Deadline) -> None:
    """Publish until the adapter knows of the alarm; what was on its way at that moment is stored later."""

    async def is_refused() -> bool:
        try:
            await dispatcher.publish([Message("probe", b"probe")])
        except BrokerFull:
            return True
        except PublishFailed:
            return False
        return False

    await deadline.until(is_refused, "publishing is refused")


async def drain(dispatcher: FairDispatcher, wait: float = 1.0) -> list[Delivery]:
    drained: list[Delivery] = []
    while got := await dispatcher.receive(20, wait=wait):
        await dispatcher.ack(got)
        drained += got
    return drained


def payloads(deliveries: Sequence[Delivery]) -> list[bytes]:
    return sorted(delivery.message.payload for delivery in deliveries if delivery.message.payload != b"probe")


async def is_empty(dispatcher: FairDispatcher) -> bool:
    return await dispatcher.backlog() == Backlog()


async def test_publishing_is_refused_and_everything_can_be_drained(
    server: LocalRabbitMQ, dispatchers: Dispatchers, deadline: Deadline
) -> None:
    dispatcher, other = await dispatchers.open(), await dispatchers.open()
    sent = messages(300)
    await dispatcher.publish(sent)
    async with memory_alarm(server):
        await until_refused(dispatcher, deadline)
        before = time.monotonic()
        with pytest.raises(BrokerFull) as refused:
            await dispatcher.publish([Message("new", b"x")])
        assert refused.value.retryable
        assert time.monotonic() - before < QUICK_SECONDS
        drained = [*await drain(dispatcher), *await drain(other)]
        assert payloads(drained) == sorted(message.payload for message in sent)
        assert {delivery.attempt for delivery in drained} == {1}
        assert (await dispatcher.backlog()).ready == 0

    async def is_taken() -> bool:
        try:
            await dispatcher.publish([Message("new", b"there is room again")])
        except BrokerFull:
            return False
        return True

    await deadline.until(is_taken, "messages are taken again")
    again = [*await drain(other), *await drain(dispatcher)]
    assert payloads(again) == [b"there is room again"]
    for one in (dispatcher, other, await dispatchers.open()):
        await deadline.until(partial(is_empty, one), "nothing is left")


async def test_leases_of_an_alarm_are_everybodys_knowledge_after_it(
    server: LocalRabbitMQ, dispatchers: Dispatchers, deadline: Deadline
) -> None:
    dispatcher, other = await dispatchers.open(), await dispatchers.open()
    await dispatcher.publish([Message("acme", b"%d" % number) for number in range(6)])
    async with memory_alarm(server):
        await until_refused(dispatcher, deadline)
        got = await dispatcher.receive(6, wait=5)
        assert len(got) == 6
        assert (await dispatcher.backlog("acme")).leased == 6
        await dispatcher.extend(got)
        await dispatcher.release(got[0])
        with pytest.raises(BrokerFull):
            await dispatcher.nack(got[1])  # the others couldn't be told that this counts
        await dispatcher.ack(got[2])
    assert await other.receive(1, wait=5)

    async def are_known() -> bool:
        return (await other.backlog("acme")).leased == 5

    await deadline.until(are_known, "the other dispatcher knows of four leases, and has one")
    await dispatcher.nack(got[1])
    (again,) = await other.receive(6, wait=5)
    assert (again.message.payload, again.attempt) == (b"1", 2)
    await other.ack(again)
    await other.ack(got[3:])  # by way of the owner


async def test_a_lone_dispatcher_nacks_during_an_alarm(
    server: LocalRabbitMQ, dispatchers: Dispatchers, deadline: Deadline
) -> None:
    dispatcher = await dispatchers.open(max_attempts=3)
    await dispatcher.publish([Message("acme", b"x"), Message("beta", b"y")])
    async with memory_alarm(server):
        await until_refused(dispatcher, deadline)
        for attempt in (1, 2, 3):
            got = {one.message.payload: one for one in await dispatcher.receive(2, wait=5)}
            if attempt == 1:
                assert got[b"y"].attempt == 1
                other = got[b"y"]
            assert got[b"x"].attempt == attempt
            if attempt < 3:
                await dispatcher.nack(got[b"x"])
        for refused in (
            dispatcher.nack(got[b"x"]),  # the last attempt: it would die
            dispatcher.nack(other, delay=5),
            dispatcher.dead_letter(other, "never"),
            dispatcher.purge("acme"),
        ):
            with pytest.raises(BrokerFull):
                await refused
        assert (await dispatcher.backlog()).leased == 2
    assert not await dispatcher.receive(2, wait=0.5)
    fresh = await dispatchers.open()
    await deadline.until(lambda: _nacked(dispatcher, got[b"x"]), "the message dies")
    await dispatcher.nack(other, delay=0.1)
    (back,) = [one for one in await fresh.receive(5, wait=5) if one.message.payload != b"probe"]
    assert (back.message.payload, back.attempt) == (b"y", 2)
    (dead,) = (await fresh.dead_letters()).items
    assert (dead.message.payload, dead.attempts) == (b"x", 3)


async def _nacked(dispatcher: FairDispatcher, delivery: Delivery) -> bool:
    try:
        await dispatcher.nack(delivery)
    except BrokerFull:
        return False
    return True


async def test_a_dispatcher_that_opens_during_an_alarm_consumes(
    server: LocalRabbitMQ, dispatchers: Dispatchers, deadline: Deadline
) -> None:
    first = await dispatchers.open()
    sent = messages(60)
    await first.publish(sent)
    async with memory_alarm(server):
        await until_refused(first, deadline)
        late = await dispatchers.open()
        with pytest.raises(BrokerFull):
            await late.publish([Message("new", b"x")])
        assert payloads(await drain(late)) == sorted(message.payload for message in sent)
    for one in (first, late):
        await drain(one, 0.5)
        await deadline.until(partial(is_empty, one), "nothing is left")


async def test_the_first_to_notice_an_alarm_repeats_without_a_second_copy(
    server: LocalRabbitMQ, dispatchers: Dispatchers, deadline: Deadline
) -> None:
    dispatcher = await dispatchers.open()
    await dispatcher.publish([Message("acme", b"before")])
    asked = Message("acme", b"once", id="only")
    async with memory_alarm(server):
        with pytest.raises(DispatcherError) as refused:
            # Whether the alarm is known already depends on what was written last.
            await dispatcher.publish([asked])
        assert isinstance(refused.value, BrokerFull) or (
            isinstance(refused.value, PublishFailed) and refused.value.unknown == [0]
        )
    await deadline.until(lambda: _published(dispatcher, asked), "the message is stored")
    await asyncio.sleep(0.2)
    assert payloads(await drain(dispatcher)) == [b"before", b"once"]


async def _published(dispatcher: FairDispatcher, message: Message) -> bool:
    try:
        await dispatcher.publish([message])
    except BrokerFull:
        return False
    return True


async def test_attempts_are_counted_when_the_consuming_connection_breaks_during_an_alarm(
    server: LocalRabbitMQ, dispatchers: Dispatchers, deadline: Deadline
) -> None:
    dispatcher = await dispatchers.open()
    await dispatcher.publish([Message("acme", b"x")])
    async with memory_alarm(server):
        await until_refused(dispatcher, deadline)
        (first,) = await dispatcher.receive(1, wait=5)
        _cut_consuming(dispatchers.adapters[0])
        (second,) = await dispatcher.receive(1, wait=5)
        assert (first.attempt, second.attempt) == (1, 2)
        await dispatcher.ack(second)
    await drain(dispatcher, 0.5)
    await deadline.until(lambda: is_empty(dispatcher), "nothing is left")


def _cut_consuming(adapter: BrokerAdapter) -> None:
    assert isinstance(adapter, RabbitMQAdapter)
    connection = adapter._open_parts.connections.consumer._connection
    assert connection is not None
    connection.cut()


async def test_what_has_to_die_waits_and_lets_others_pass(
    server: LocalRabbitMQ, dispatchers: Dispatchers, deadline: Deadline
) -> None:
    killer = await dispatchers.open(max_attempts=1)
    await killer.publish([Message("acme", b"poison"), Message("acme", b"good")])
    (poison,) = await killer.receive(1, wait=5)
    assert poison.message.payload == b"poison"
    _cut_consuming(dispatchers.adapters[0])
    async with memory_alarm(server):
        await until_refused(killer, deadline)
        assert payloads(await drain(killer)) == [b"good"]

    async def is_dead() -> bool:
        return bool((await killer.dead_letters("acme")).items)

    await deadline.until(is_dead, "the message dies when there is room for it")
    assert (await killer.backlog("acme")) == Backlog(dead=1)


async def test_nobody_is_thought_to_be_gone_because_nobody_can_write(
    server: LocalRabbitMQ, namespace: str, deadline: Deadline
) -> None:
    async with AsyncExitStack() as stack:
        journals: list[Journal] = []
        told: list[e.Event] = []
        for name in ("one", "two"):
            connections = Connections(server.url, name, 3.0, 10)
            stack.push_async_callback(connections.close)
            journal = Journal(
                connections,
                f"{namespace}:journal",
                dispatcher=name,
                timeout_seconds=3.0,
                heartbeat_seconds=0.1,
                silence_seconds=0.6,
            )
            await journal.start()
            stack.push_async_callback(journal.close)
            journal.listen(lambda _, event: told.append(event))
            journals.append(journal)
        async with memory_alarm(server):
            await deadline.until(lambda: all(one.is_held for one in journals), "all know of the alarm")
            await asyncio.sleep(2.0)
        await deadline.until(lambda: not any(one.is_held for one in journals), "the alarm is over")
        for journal in journals:
            await journal.barrier()
        await asyncio.sleep(1.0)
        assert not [event for event in told if isinstance(event, e.Gone)]
        assert all(len(one.replica.writers.live()) == 2 for one in journals)
