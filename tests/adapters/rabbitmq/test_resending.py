"""A message that is sent again, since nobody knows whether it was stored, is handed over once."""

from __future__ import annotations

import time

import pytest

from broker_core import FairDispatcher, Message
from broker_core.conformance.consuming import assert_backlog, assert_nothing, collect
from broker_core.conformance.polling import Deadline
from broker_core.conformance.proxy import TcpProxy
from broker_core.errors import BrokerUnavailable, PublishFailed
from fair_rabbitmq.adapter import RabbitMQAdapter
from fair_rabbitmq.settings import RabbitMQSettings
from tests.servers.interface import BrokerServer, at


def make(url: str, namespace: str, timeout_seconds: float) -> FairDispatcher:
    settings = RabbitMQSettings.load(url=url, namespace=namespace, timeout_seconds=timeout_seconds)
    return FairDispatcher(RabbitMQAdapter(settings), settings)


@pytest.mark.parametrize("acked_before", [False, True])
async def test_a_second_copy_is_dropped(rabbitmq: BrokerServer, acked_before: bool) -> None:
    namespace = f"resend-{time.time_ns()}"
    proxy = await TcpProxy(rabbitmq.host, rabbitmq.port).start()
    deadline = Deadline(60)
    message = Message("a", b"once", id="key")
    try:
        async with (
            make(rabbitmq.url, namespace, 5.0) as consumer,
            make(at(rabbitmq.url, proxy.host, proxy.port), namespace, 1.0) as publisher,
        ):
            await publisher.publish(Message("a", b"first"))
            await consumer.ack(await collect(consumer, 1, deadline))
            proxy.swallow("to_client")
            with pytest.raises((PublishFailed, BrokerUnavailable)):
                await publisher.publish(message)
            await proxy.accept()
            proxy.cut()
            held = await collect(consumer, 1, deadline)
            if acked_before:
                await consumer.ack(held)
            (message_id,) = await _until_stored(publisher, message, deadline)
            assert held[0].id == message_id
            await assert_nothing(consumer, seconds=0.5)
            await consumer.ack(held)
            await assert_nothing(consumer)
            await assert_backlog(consumer)
    finally:
        await proxy.close()


async def _until_stored(publisher: FairDispatcher, message: Message, deadline: Deadline) -> list[str]:
    while True:
        try:
            return await publisher.publish(message)
        except (PublishFailed, BrokerUnavailable):
            deadline.check("a broker that answers")
