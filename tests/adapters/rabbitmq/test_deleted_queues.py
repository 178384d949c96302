"""What an operator deletes under running dispatchers is made anew; others notice nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aio_pika
import pytest

from broker_core import CustomerPolicy, Delivery, FairDispatcher, Message
from broker_core.conformance.polling import Deadline
from broker_core.errors import LeaseLost
from fair_rabbitmq.adapter import RabbitMQAdapter
from fair_rabbitmq.settings import RabbitMQSettings
from fair_rabbitmq.topology import Topology
from tests.servers.rabbitmq_local import LocalRabbitMQ


@pytest.fixture
async def dispatchers(rabbitmq: LocalRabbitMQ, namespace: str) -> AsyncIterator[list[FairDispatcher]]:
    settings = RabbitMQSettings.load(url=rabbitmq.url, namespace=namespace, timeout_seconds=5.0)
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(FairDispatcher(RabbitMQAdapter(settings), settings))
            for _ in range(2)
        ]


async def delete(server: LocalRabbitMQ, queue: str) -> None:
    async with await aio_pika.connect(server.url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(queue)


async def collect(dispatcher: FairDispatcher, count: int, deadline: Deadline) -> list[Delivery]:
    found: list[Delivery] = []
    while len(found) < count:
        found += await dispatcher.receive(count - len(found), wait=1.0)
        deadline.check(f"{count} messages")
    return found


async def test_a_queue_deleted_under_a_waiting_consumer_is_made_anew(
    rabbitmq: LocalRabbitMQ,
    namespace: str,
    dispatchers: list[FairDispatcher],
    deadline: Deadline,
    caplog: pytest.LogCaptureFixture,
) -> None:
    publisher, consumer = dispatchers
    await publisher.publish([Message("acme", b"held"), Message("beta", b"beta's")])
    held = await collect(consumer, 2, deadline)
    waiting = asyncio.create_task(consumer.receive(1, wait=deadline.remaining))
    await asyncio.sleep(0.3)
    with caplog.at_level(logging.WARNING, "fair_rabbitmq"):
        await delete(rabbitmq, Topology(namespace).queue("acme", 1))
        await deadline.until(lambda: "deleted by somebody else" in caplog.text, "it is told in the log")
    assert "'acme'" in caplog.text
    await publisher.publish(Message("acme", b"afterwards"))
    (found,) = await waiting
    assert found.message.payload == b"afterwards"
    # Nobody's leases were lost by that, not even those of the deleted queue.
    await consumer.ack([*held, found])


@pytest.mark.parametrize("with_leases", [False, True])
async def test_a_queue_deleted_while_nobody_consumes_stops_nobody(
    rabbitmq: LocalRabbitMQ,
    namespace: str,
    dispatchers: list[FairDispatcher],
    deadline: Deadline,
    with_leases: bool,
) -> None:
    publisher, consumer = dispatchers
    await publisher.publish([Message("acme", b"1"), Message("beta", b"1")])
    held = await collect(consumer, 2, deadline)
    if not with_leases:
        await consumer.ack(held)
    await publisher.publish([Message("acme", b"lost"), Message("beta", b"2")])
    await asyncio.sleep(0.5)  # what was fetched ahead is given back
    await delete(rabbitmq, Topology(namespace).queue("acme", 1))
    assert [one.message.payload for one in await collect(consumer, 1, deadline)] == [b"2"]
    await publisher.publish(Message("acme", b"afterwards"))
    assert [one.message.payload for one in await collect(consumer, 1, deadline)] == [b"afterwards"]
    if with_leases:
        await consumer.ack(held)


async def test_a_deleted_journal_is_told_again_by_those_who_knew_it(
    rabbitmq: LocalRabbitMQ,
    namespace: str,
    dispatchers: list[FairDispatcher],
    deadline: Deadline,
    caplog: pytest.LogCaptureFixture,
) -> None:
    publisher, consumer = dispatchers
    await publisher.set_policy("beta", CustomerPolicy(weight=3))
    await publisher.publish([Message("acme", b"1"), Message("acme", b"dies"), Message("beta", b"1")])
    held = {(one.message.customer, one.message.payload): one for one in await collect(consumer, 3, deadline)}
    await consumer.dead_letter(held["acme", b"dies"], "never")
    await consumer.nack(held["beta", b"1"], delay=2)
    await delete(rabbitmq, Topology(namespace).journal)
    await deadline.until(lambda: "journal was deleted" in caplog.text, "it is told in the log")
    expected = [("acme", b"2"), ("beta", b"1"), ("new", b"1")]
    try:
        await consumer.ack(held["acme", b"1"])
    except LeaseLost:
        # A server in which two make the same stream at once may end a connection, and its leases with it.
        expected.append(("acme", b"1"))
    await publisher.publish([Message("acme", b"2"), Message("new", b"1")])
    found = await collect(consumer, len(expected), deadline)
    assert sorted((one.message.customer, one.message.payload) for one in found) == sorted(expected)
    await consumer.ack(found)
    assert [one.message.payload for one in (await publisher.dead_letters("acme")).items] == [b"dies"]
    assert await publisher.get_policy("beta") == CustomerPolicy(weight=3)


async def test_short_receives_notice_nothing_of_deleted_queues(
    rabbitmq: LocalRabbitMQ, namespace: str, dispatchers: list[FairDispatcher], deadline: Deadline
) -> None:
    publisher, consumer = dispatchers
    names = ["acme", "beta", "gamma", "delta"]
    await publisher.publish([Message(name, b"1") for name in names])
    await consumer.ack(await collect(consumer, 4, deadline))
    await asyncio.sleep(0.5)  # nothing is consumed any more
    for name in names[:3]:
        await delete(rabbitmq, Topology(namespace).queue(name, 1))
    await publisher.publish(Message("delta", b"2"))
    found: list[Delivery] = []
    while not found:
        found = await consumer.receive(4, wait=0.01)
        deadline.check("the message of the queue that is left")
    assert [one.message.payload for one in found] == [b"2"]
