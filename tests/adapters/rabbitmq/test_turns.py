"""What this dispatcher has published takes part in its next receives, though it comes a moment later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from broker_core import FairDispatcher, Message
from broker_core.conformance.polling import Deadline
from fair_rabbitmq.adapter import RabbitMQAdapter
from fair_rabbitmq.settings import RabbitMQSettings
from fair_rabbitmq.wire import WireChannel
from tests.servers.rabbitmq_local import LocalRabbitMQ

LATE_SECONDS = 0.03


class SlowWay:
    """Lets everything that the broker sends over channels for consuming come late, in its order."""

    def __init__(self, channels: list[WireChannel]) -> None:
        self._tasks = [asyncio.create_task(self._slow_down(channel)) for channel in channels]

    async def _slow_down(self, channel: WireChannel) -> None:
        frames: Any = channel.frames
        put, come = frames.put, asyncio.Queue[tuple[float, Any]]()
        clock = asyncio.get_running_loop().time

        async def put_late(item: Any) -> None:
            await come.put((clock() + LATE_SECONDS, item))

        frames.put = put_late
        while True:
            due, item = await come.get()
            await asyncio.sleep(due - clock())
            await put(item)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture(params=[0, 1], ids=["queue per customer", "shared queue"])
def settings(request: pytest.FixtureRequest, rabbitmq: LocalRabbitMQ, namespace: str) -> RabbitMQSettings:
    return RabbitMQSettings.load(
        url=rabbitmq.url, namespace=namespace, timeout_seconds=5.0, quantum=1, hashed_queues=request.param
    )


@pytest.fixture(params=["alone", "beside another"])
async def dispatcher(
    request: pytest.FixtureRequest, settings: RabbitMQSettings
) -> AsyncIterator[FairDispatcher]:
    async with AsyncExitStack() as stack:
        if request.param != "alone":
            await stack.enter_async_context(FairDispatcher(RabbitMQAdapter(settings), settings))
        yield await stack.enter_async_context(FairDispatcher(RabbitMQAdapter(settings), settings))


@pytest.fixture
def consuming_channels(monkeypatch: pytest.MonkeyPatch) -> list[WireChannel]:
    """Return the channels, made from now on, over which messages come."""
    made: list[WireChannel] = []
    open_on = WireChannel.open_on

    async def noting(connection: Any, *, confirms: bool) -> WireChannel:
        channel = await open_on(connection, confirms=confirms)
        if not confirms:
            made.append(channel)
        return channel

    monkeypatch.setattr(WireChannel, "open_on", noting)
    return made


async def receive_one(dispatcher: FairDispatcher, deadline: Deadline) -> str:
    while not (found := await dispatcher.receive(1, wait=1.0)):
        deadline.check("a message")
    await dispatcher.ack(found)
    return found[0].customer


async def test_a_customer_that_publishes_again_keeps_its_turn_though_its_message_comes_late(
    consuming_channels: list[WireChannel], dispatcher: FairDispatcher, deadline: Deadline
) -> None:
    await dispatcher.publish([Message(customer, b"1") for customer in "abbbccc"])
    assert [await receive_one(dispatcher, deadline) for _ in range(3)] == ["a", "b", "c"]
    slow = SlowWay(consuming_channels)
    try:
        order = []
        for _ in range(2):
            await dispatcher.publish(Message("a", b"again"))
            order += [await receive_one(dispatcher, deadline) for _ in range(3)]
    finally:
        await slow.close()
    assert order == ["b", "c", "a"] * 2
