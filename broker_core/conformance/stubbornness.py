"""Producers and consumers that go on while the broker comes and goes, as real ones should."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.dispatcher import FairDispatcher
from broker_core.errors import BrokerUnavailable, DispatcherError, LeaseLost, PublishFailed
from broker_core.model import Delivery, Message

T = TypeVar("T")

_PAUSE_SECONDS = 0.05


def with_ids(count: int) -> list[Message]:
    """Make messages of ten customers that are safe to publish again."""
    return [Message(f"c{place % 10}", str(place).encode(), id=f"key-{place}") for place in range(count)]


async def again_and_again(call: Callable[[], Awaitable[T]], deadline: Deadline) -> T:
    """Repeat a call until the broker answers; any other error, or one that isn't retryable, passes."""
    while True:
        try:
            return await call()
        except (BrokerUnavailable, PublishFailed) as error:
            if not error.retryable:
                raise
            deadline.check(f"an answer of the broker, instead of {error!r}")
            await asyncio.sleep(_PAUSE_SECONDS)


async def publish_stubbornly(
    dispatcher: FairDispatcher, batch: Sequence[Message], deadline: Deadline
) -> list[str]:
    """Publish until everything is confirmed; safe to repeat where all messages have an id of their own."""
    return await again_and_again(lambda: dispatcher.publish(batch), deadline)


async def settle_stubbornly(call: Callable[[], Awaitable[object]], deadline: Deadline) -> bool:
    """Settle until the broker answers; tell whether the leases were still ours."""
    try:
        await again_and_again(call, deadline)
    except LeaseLost:
        return False
    return True


async def consume_stubbornly(
    dispatcher: FairDispatcher, recorder: Recorder, consumer: str, deadline: Deadline
) -> None:
    """Receive, record and ack until cancelled, whatever the broker does."""
    while True:
        try:
            deliveries: list[Delivery] = await dispatcher.receive(20, wait=0.5)
        except DispatcherError as error:
            if not error.retryable:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)
            continue
        recorder.record(deliveries, consumer)
        await settle_stubbornly(lambda acked=deliveries: dispatcher.ack(acked), deadline)  # type: ignore[misc]
