"""Delayed messages: queues with a time to live in powers of two, and one where they come out.

A message waits in the longest of these queues that isn't longer than its delay, comes out into the
queue of the due ones, and from there goes into the next shorter one, until less than the shortest is
left, which a dispatcher waits for. A copy counts as long as the journal knows its delay: id and due
time; purging, or a consumer that crashed between storing the copy and acking the original, leaves
copies that are dropped when they come out.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from aiormq.abc import DeliveredMessage

from broker_core.errors import BrokerUnavailable, DispatcherError
from fair_rabbitmq.ending import end_tasks
from fair_rabbitmq.journal.channels import Channels
from fair_rabbitmq.journal.events import Delay, Delayed, Due, Extended, Lease
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.journal.wire import Consumer, NotStored, Publisher, Unroutable, declare_queue
from fair_rabbitmq.parcel import Parcel, UndecodableParcel, parcel_from_bytes, parcel_to_bytes

log = logging.getLogger(__name__)

Republish = Callable[[Parcel], Awaitable[None]]
"""Puts a parcel at its customer's tail; returns when that is confirmed, else raises DispatcherError."""

SHORTEST, LONGEST = 8, 31  # exponents: 256 ms and 25 days; the broker takes less than 2³² ms
_DUE_HEADER = "due"
_AT_ONCE = 200
_RETRY_MS = 1000
_PAUSES = (0.01, 0.05, 0.1, 0.3)  # seconds, after the broker refused
_DELIVERY_LIMIT = 1_000_000_000  # without one, newer servers drop what was given back 20 times


@dataclass(order=True, slots=True)
class _Waiting:
    """A copy that came out of a queue and isn't acked yet; at: when to look at it, by the wall clock."""

    at: int
    tag: int
    due: int = field(compare=False)
    parcel: Parcel = field(compare=False)


class Delays:
    """Keeps delayed messages in the broker, and puts them back when they are due, as long as it runs.

    Times are the dispatchers' wall clocks: theirs should agree. prefetch: copies that wait for their
    last moments in this process at most.
    """

    def __init__(
        self,
        channels: Channels,
        journal: Journal,
        prefix: str,
        republish: Republish,
        *,
        timeout_seconds: float = 5.0,
        prefetch: int = 500,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._channels, self._journal, self._republish = channels, journal, republish
        self._prefix, self._due_queue = prefix, f"{prefix}:due"
        self._timeout_seconds, self._prefetch, self._clock = timeout_seconds, prefetch, clock
        self._publisher = Publisher(channels, timeout_seconds)
        self._declared: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to put back what is due. Raises BrokerUnavailable; then nothing is left running."""
        await self._declare(self._due_queue)
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(log_failure)

    async def close(self) -> None:
        """End all tasks; what is due meanwhile is put back by others. Idempotent; half a second at most."""
        if self._task is not None:
            await end_tasks([self._task])
        await self._publisher.close()

    async def delay(self, parcels: Sequence[Parcel], due_ms: int) -> None:
        """Count the messages as delayed, then store them; the caller acks the originals when this returns.

        After an error (BrokerUnavailable, or a cancelling) the caller still has the originals, they count
        as leased, and it may call again. BrokerFull under an alarm.
        """
        self._channels.alarm.check()
        try:
            await self._journal.append(Delayed(tuple(Delay(one.id, one.customer, due_ms) for one in parcels)))
            for start in range(0, len(parcels), _AT_ONCE):
                await _all(self._store(parcel, due_ms) for parcel in parcels[start : start + _AT_ONCE])
        except BaseException:
            # Copies that were stored, or are yet to be, count for nothing by that.
            leases = tuple(Lease(one.id, one.customer, due_ms) for one in parcels)
            self._journal.append_soon(Extended(leases))
            raise

    # Into a queue.

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _queue_for(self, due: int) -> str:
        left = due - self._now()
        exponent = min(left.bit_length() - 1, LONGEST) if left > 0 else -1
        return f"{self._prefix}:{1 << exponent}" if exponent >= SHORTEST else self._due_queue

    async def _store(self, parcel: Parcel, due: int) -> None:
        queue = self._queue_for(due)
        if queue not in self._declared:
            await self._declare(queue)
        body = parcel_to_bytes(parcel)
        for pause in _PAUSES:
            try:
                await self._publisher.publish(queue, body, headers={_DUE_HEADER: due})
            except Unroutable:
                # Somebody deleted it.
                await self._declare(queue)
            except NotStored:
                # It was just made.
                await asyncio.sleep(pause)
            else:
                return
        await self._publisher.publish(queue, body, headers={_DUE_HEADER: due})

    async def _declare(self, queue: str) -> None:
        arguments: dict[str, str | int] = {"x-queue-type": "quorum", "x-delivery-limit": _DELIVERY_LIMIT}
        if queue != self._due_queue:
            arguments |= {
                "x-message-ttl": int(queue.rpartition(":")[2]),
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": self._due_queue,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",  # which that strategy requires
            }
        await declare_queue(self._channels, queue, arguments, self._timeout_seconds)
        self._declared.add(queue)

    # Out of the queue of the due ones.

    async def _run(self) -> None:
        pause = 0.05
        while True:
            consumer = Consumer(
                self._channels,
                self._due_queue,
                timeout_seconds=self._timeout_seconds,
                prefetch=self._prefetch,
            )
            try:
                await self._declare(self._due_queue)
                await consumer.open()
                pause = 0.05
                await self._put_back(consumer)
            except DispatcherError as error:
                log.info("delayed messages aren't put back for now: %s", error)
            finally:
                await consumer.close()
            await asyncio.sleep(pause)
            pause = min(2 * pause, 1.0)

    async def _put_back(self, consumer: Consumer) -> None:
        waiting: list[_Waiting] = []
        while True:
            wait = max(0.0, (waiting[0].at - self._now()) / 1000) if waiting else 60.0
            for message in await consumer.next(wait):
                copy = _read(message)
                if copy is None:
                    await consumer.ack(message.delivery_tag or 0)
                else:
                    heapq.heappush(waiting, copy)
            now = self._now()
            batch: list[_Waiting] = []
            while waiting and waiting[0].at <= now and len(batch) < _AT_ONCE:
                batch.append(heapq.heappop(waiting))
            if batch:
                for copy in await self._handle(consumer, batch, now):
                    heapq.heappush(waiting, copy)

    async def _handle(self, consumer: Consumer, batch: list[_Waiting], now: int) -> list[_Waiting]:
        """Ack what is done with; return what has to wait more."""
        valid = await self._valid(batch)
        done = [copy for copy in batch if copy not in valid]
        later: list[_Waiting] = []
        forward: list[_Waiting] = []
        ready: list[_Waiting] = []
        for copy in valid:
            if copy.due <= now:
                ready.append(copy)
            elif copy.due - now < 1 << SHORTEST:
                later.append(_Waiting(copy.due, copy.tag, copy.due, copy.parcel))
            else:
                forward.append(copy)
        results = await asyncio.gather(
            *(self._republish(copy.parcel) for copy in ready),
            *(self._store(copy.parcel, copy.due) for copy in forward),
            return_exceptions=True,
        )
        moved: list[_Waiting] = []
        for copy, result in zip([*ready, *forward], results, strict=True):
            if isinstance(result, DispatcherError):
                later.append(_Waiting(now + _RETRY_MS, copy.tag, copy.due, copy.parcel))
            elif isinstance(result, BaseException):
                raise result
            else:
                moved.append(copy)
        await self._tell_due([copy for copy in moved if copy.due <= now])
        for copy in (*done, *moved):
            await consumer.ack(copy.tag)
        return later

    async def _valid(self, batch: list[_Waiting]) -> list[_Waiting]:
        """Leave out those whose delay the journal doesn't know, when it is surely as new as they are."""

        def known() -> list[_Waiting]:
            replica = self._journal.replica
            return [copy for copy in batch if replica.is_delayed(copy.parcel.id, copy.due)]

        valid = known()
        if len(valid) < len(batch):
            await self._journal.barrier()
            valid = known()
        return valid

    async def _tell_due(self, copies: list[_Waiting]) -> None:
        if not copies:
            return
        try:
            await self._journal.append(Due(tuple((copy.parcel.id, copy.due) for copy in copies)))
        except BrokerUnavailable:
            # It is still under way; and if it gets lost with us, the next delivery tells the same.
            log.info("the journal learns later that delayed messages are ready")


def log_failure(task: asyncio.Task[None]) -> None:
    """Tell of a task that should have run until it was cancelled."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a task of the dispatcher stopped working", exc_info=error)


def _read(message: DeliveredMessage) -> _Waiting | None:
    due = (message.header.properties.headers or {}).get(_DUE_HEADER)
    try:
        parcel = parcel_from_bytes(bytes(message.body))
    except UndecodableParcel:
        parcel = None
    if parcel is None or not isinstance(due, int) or message.delivery_tag is None:
        log.error("something else than a delayed message was dropped from the queue of the due ones")
        return None
    return _Waiting(0, message.delivery_tag, due, parcel)


async def _all(works: Iterable[Awaitable[None]]) -> None:
    """Let all end, then raise the first error."""
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
