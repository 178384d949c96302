"""Lets messages that arrive together share a call of the broker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from broker_core import FairDispatcher, Message
from broker_core.errors import BrokerUnavailable, Closed, DispatcherError, PublishFailed

MOST_CALLS = 2
MOST_MESSAGES = 500
MOST_BYTES = 4 << 20
MOST_WAITING = 20_000
CLOSE_SECONDS = 5.0

Outcome = str | DispatcherError


class TooManyWaiting(DispatcherError):
    """More messages wait to be sent than there is room for; this one was not stored."""

    retryable = True


class MicroBatcher:
    """Publishes single messages, several in one call while earlier calls are under way.

    An idle one sends at once. Each message gets its own outcome; at most MOST_WAITING wait.
    """

    def __init__(self, dispatcher: FairDispatcher) -> None:
        self._dispatcher = dispatcher
        self._waiting: deque[tuple[Message, asyncio.Future[Outcome]]] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._kicked = False
        self._closed = False

    async def publish(self, message: Message) -> Outcome:
        """Store a message that was checked; return its id or the error, once the broker has answered."""
        if self._closed:
            return Closed("the service is ending")
        if len(self._waiting) >= MOST_WAITING:
            return TooManyWaiting("too many messages wait to be sent")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.append((message, outcome))
        if not self._kicked:
            # At the end of this turn of the loop, so that what else arrived in it comes along.
            self._kicked = True
            loop.call_soon(self._send_waiting)
        return await outcome

    async def close(self) -> None:
        """Take no more, and wait a while for what is under way."""
        self._closed = True
        end = asyncio.get_running_loop().time() + CLOSE_SECONDS
        while self._calls and (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._calls, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        for call in self._calls:
            call.cancel()

    def _send_waiting(self) -> None:
        self._kicked = False
        while self._waiting and len(self._calls) < MOST_CALLS:
            call = asyncio.ensure_future(self._send(self._next_batch()))
            self._calls.add(call)
            call.add_done_callback(self._sent)

    def _sent(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._send_waiting()

    def _next_batch(self) -> list[tuple[Message, asyncio.Future[Outcome]]]:
        batch: list[tuple[Message, asyncio.Future[Outcome]]] = []
        size_bytes = 0
        while self._waiting and len(batch) < MOST_MESSAGES and size_bytes < MOST_BYTES:
            batch.append(self._waiting.popleft())
            size_bytes += len(batch[-1][0].payload)
        return batch

    async def _send(self, batch: list[tuple[Message, asyncio.Future[Outcome]]]) -> None:
        outcomes: Sequence[Outcome] = [BrokerUnavailable("the call was ended")] * len(batch)
        try:
            outcomes = await publish_each(self._dispatcher, [message for message, _ in batch])
        finally:
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if not future.done():
                    future.set_result(outcome)


async def publish_each(dispatcher: FairDispatcher, messages: Sequence[Message]) -> list[Outcome]:
    """Publish in one call and return the outcome of each: a PublishFailed of its own if it isn't known."""
    try:
        return list(await dispatcher.publish(messages))
    except PublishFailed as error:
        unknown = PublishFailed({}, {}, [0])
        known: dict[int, Outcome] = {**error.stored, **error.rejected}
        return [known.get(index, unknown) for index in range(len(messages))]
    except DispatcherError as error:
        return [error] * len(messages)
