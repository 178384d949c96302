"""Steps that many tests share: making messages, publishing many, receiving a given number, draining."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import cycle

from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.dispatcher import FairDispatcher
from broker_core.errors import DispatcherError
from broker_core.model import Backlog, Delivery, Message

_PUBLISH_CHUNK = 1000
_WAIT_SECONDS = 0.5
_CANCEL_SECONDS = 5.0


def messages(customer: str, count: int, *, cost: int = 1) -> list[Message]:
    """Make messages whose payload tells their place among those of the customer."""
    return [Message(customer, str(number).encode(), cost=cost) for number in range(count)]


def place_of(delivery: Delivery) -> int:
    """Return the place that `messages` wrote into the payload."""
    return int(delivery.message.payload)


def take_turns(*queues: Sequence[Message]) -> list[Message]:
    """Merge by taking one of each in turn, as long as there are some."""
    longest = max(map(len, queues))
    return [queue[place] for place in range(longest) for queue in queues if place < len(queue)]


async def publish_all(dispatcher: FairDispatcher, batch: Sequence[Message]) -> list[str]:
    """Publish in calls of a usual size."""
    ids: list[str] = []
    for start in range(0, len(batch), _PUBLISH_CHUNK):
        ids += await dispatcher.publish(batch[start : start + _PUBLISH_CHUNK])
    return ids


async def collect(
    dispatcher: FairDispatcher, count: int, deadline: Deadline, *, max_messages: int = 100
) -> list[Delivery]:
    """Receive exactly that many deliveries and settle none of them."""
    deliveries: list[Delivery] = []
    while len(deliveries) < count:
        deadline.check(f"{count} deliveries; there were {len(deliveries)}")
        wanted = min(max_messages, count - len(deliveries))
        deliveries += await dispatcher.receive(wanted, wait=min(_WAIT_SECONDS, deadline.remaining))
    return deliveries


async def one(dispatcher: FairDispatcher, deadline: Deadline) -> Delivery:
    """Receive exactly one delivery."""
    return (await collect(dispatcher, 1, deadline))[0]


async def drain(
    dispatchers: Iterable[FairDispatcher],
    recorder: Recorder,
    deadline: Deadline,
    *,
    max_messages: int = 100,
    count: int | None = None,
    settle: Callable[[FairDispatcher, list[Delivery]], Awaitable[None]] = FairDispatcher.ack,
) -> None:
    """Let consumers receive in turn and ack, until `count` hand-overs or until one gets nothing."""
    for number, dispatcher in cycle(list(enumerate(dispatchers))):
        deadline.check(f"an end of the messages; {len(recorder)} were handed over")
        deliveries = await dispatcher.receive(max_messages)
        recorder.record(deliveries, f"consumer {number}")
        if deliveries:
            await settle(dispatcher, deliveries)
        if not deliveries or (count is not None and len(recorder) >= count):
            return


async def consume_for_ever(
    dispatcher: FairDispatcher, recorder: Recorder, consumer: str, *, max_messages: int = 100
) -> None:
    """Receive, record and ack until cancelled."""
    while True:
        deliveries = await dispatcher.receive(max_messages, wait=_WAIT_SECONDS)
        recorder.record(deliveries, consumer)
        await dispatcher.ack(deliveries)


@asynccontextmanager
async def running(coroutines: Iterable[Coroutine[object, object, None]]) -> AsyncIterator[None]:
    """Run consumers beside the block and cancel them at its end; an error of theirs fails the test."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        swallowed = await _cancel_all(tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
    assert not swallowed, f"{swallowed} consumers went on though they were cancelled"


async def _cancel_all(tasks: Sequence[asyncio.Task[None]]) -> int:
    """Cancel until all have ended, and count those that a first cancellation didn't end."""
    swallowed = 0
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        _, still_pending = await asyncio.wait(pending, timeout=_CANCEL_SECONDS)
        swallowed = max(swallowed, len(still_pending))
    return swallowed


async def error_of(call: Awaitable[object]) -> DispatcherError | None:
    """Return the error with which a call ends, None when it succeeds."""
    try:
        await call
    except DispatcherError as error:
        return error
    return None


async def assert_nothing(dispatcher: FairDispatcher, seconds: float = 0.0) -> None:
    """Fail if anything can be received within that time."""
    deliveries = await dispatcher.receive(100, wait=seconds)
    assert deliveries == [], f"nothing should be ready, but received were {deliveries}"


async def assert_backlog(
    dispatcher: FairDispatcher,
    customer: str | None = None,
    *,
    ready: int = 0,
    leased: int = 0,
    delayed: int = 0,
    dead: int = 0,
) -> None:
    """Fail unless the counts are exactly these."""
    assert await dispatcher.backlog(customer) == Backlog(ready, leased, delayed, dead)
