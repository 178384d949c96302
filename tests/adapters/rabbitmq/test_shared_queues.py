"""Customers that share queues by hash."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from broker_core import CustomerPolicy, FairDispatcher, Message
from broker_core.conformance.consuming import collect
from broker_core.conformance.polling import Deadline
from broker_core.errors import Unsupported
from fair_rabbitmq.adapter import RabbitMQAdapter
from fair_rabbitmq.settings import RabbitMQSettings
from tests.servers.interface import BrokerServer


@pytest.fixture
async def dispatcher(rabbitmq: BrokerServer) -> AsyncIterator[FairDispatcher]:
    settings = RabbitMQSettings.load(
        url=rabbitmq.url, namespace=f"shared-{time.time_ns()}", hashed_queues=4, lease_seconds=60
    )
    async with FairDispatcher(RabbitMQAdapter(settings), settings) as dispatcher:
        yield dispatcher


async def test_every_message_comes_under_its_customer(dispatcher: FairDispatcher) -> None:
    ids = await dispatcher.publish([Message(f"c{place % 50}", str(place).encode()) for place in range(500)])
    assert (await dispatcher.backlog()).ready == 500
    received = await collect(dispatcher, 500, Deadline(30), max_messages=37)
    assert {one.id for one in received} == set(ids)
    assert all(one.customer == f"c{int(one.message.payload) % 50}" for one in received)
    await dispatcher.ack(received)
    assert (await dispatcher.backlog()).leased == 0


async def test_customers_at_hand_are_served_in_turn(dispatcher: FairDispatcher) -> None:
    await dispatcher.publish([Message(f"c{place % 2}") for place in range(40)])
    received = await collect(dispatcher, 20, Deadline(30), max_messages=20)
    assert Counter(one.customer for one in received) == {"c0": 10, "c1": 10}


async def test_attempts_are_counted_for_each_message(dispatcher: FairDispatcher) -> None:
    await dispatcher.publish([Message("a")] * 3)
    await dispatcher.nack(await collect(dispatcher, 1, Deadline(30)))
    assert [one.attempt for one in await collect(dispatcher, 3, Deadline(30))] == [2, 1, 1]


async def test_what_sharing_takes_away_is_refused(dispatcher: FairDispatcher) -> None:
    with pytest.raises(Unsupported):
        await dispatcher.set_policy("a", CustomerPolicy(paused=True))
    await dispatcher.set_policy("a", CustomerPolicy(weight=3))
    assert [one.customer for one in await dispatcher.customers()] == ["a"]
