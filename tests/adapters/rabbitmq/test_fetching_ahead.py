"""How much is fetched ahead is bounded over all queues, however long they are consumed."""

from __future__ import annotations

import pytest

from broker_core import FairDispatcher, Message
from broker_core.conformance.polling import Deadline
from fair_rabbitmq.adapter import RabbitMQAdapter
from fair_rabbitmq.consuming import Consumers
from fair_rabbitmq.settings import RabbitMQSettings
from tests.servers.rabbitmq_local import LocalRabbitMQ


def consumers_of(dispatcher: FairDispatcher) -> Consumers:
    adapter = dispatcher._adapter
    assert isinstance(adapter, RabbitMQAdapter)
    return adapter._open_parts.consumers


@pytest.mark.parametrize("busy", [1, 40])
async def test_consumers_that_begin_anew_leave_nothing_and_stay_within_the_bound(
    rabbitmq: LocalRabbitMQ, namespace: str, deadline: Deadline, busy: int
) -> None:
    settings = RabbitMQSettings.load(url=rabbitmq.url, namespace=namespace, quantum=1, max_buffered=100)
    async with FairDispatcher(RabbitMQAdapter(settings), settings) as dispatcher:
        names = [f"c{number}" for number in range(40)]
        await dispatcher.publish([Message(name) for name in names])
        await dispatcher.publish([Message(name) for name in names[:busy] for _ in range(400 // busy)])
        consumers, left, most = consumers_of(dispatcher), 40 + 400 // busy * busy, 0
        while left:
            deliveries = await dispatcher.receive(20)
            most = max(most, sum(consumers.buffers.counts().values()))
            await dispatcher.ack(deliveries)
            left -= len(deliveries)
            deadline.check(f"{left} more messages")
        assert most <= settings.max_buffered
        assert len(consumers._by_tag) == len(names)
        assert sum(source.prefetch for source in consumers.sources.values()) <= settings.max_buffered
