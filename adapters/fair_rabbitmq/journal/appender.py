"""Appends events to the journal: what is given at the same time shares a record; each is stored once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from broker_core.errors import BrokerUnavailable, Closed
from fair_rabbitmq.journal.codec import encode, encode_event
from fair_rabbitmq.journal.events import Event, Record
from fair_rabbitmq.journal.journal_pb2 import Event as EncodedEvent
from fair_rabbitmq.journal.wire import Publisher, Unroutable

_RECORD_BYTES = 128 << 10
_PENDING_BYTES = 64 << 20
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0


@dataclass(slots=True, eq=False)
class _Pending:
    events: list[EncodedEvent]
    size_bytes: int
    stored: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Appender:
    """One record is under way at a time, and is repeated with its number until it is confirmed.

    Followers leave out a number that they have seen, so repeating is harmless; and since the next
    record waits, records that an outage held back can't overtake one another.

    snapshot: tells what records say of the latest snapshot. repair: makes a stream that is missing.
    """

    def __init__(
        self,
        publisher: Publisher,
        stream: str,
        dispatcher: str,
        snapshot: Callable[[], int | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._publisher, self._stream, self._dispatcher = publisher, stream, dispatcher
        self._snapshot, self._clock = snapshot, clock
        self._pending: deque[_Pending] = deque()
        self._pending_bytes = 0
        self._something = asyncio.Event()
        self._closed = False
        self._storing = False
        self.number = 0
        """Of the last record that was begun."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for the broker."""
        return not self._pending and not self._storing

    def put(self, events: Sequence[Event]) -> asyncio.Future[int]:
        """Queue events; the result is the number of their record, once it is confirmed.

        Raises BrokerUnavailable at once when too much waits already.
        """
        if self._closed:
            raise Closed("the journal is closed")
        encoded = [encode_event(event) for event in events]
        size_bytes = sum(event.ByteSize() for event in encoded)
        if self._pending and self._pending_bytes + size_bytes > _PENDING_BYTES:
            raise BrokerUnavailable("the journal takes no more: too much waits for the broker already")
        pending = _Pending(encoded, size_bytes)
        pending.stored.add_done_callback(_retrieve)
        self._pending.append(pending)
        self._pending_bytes += size_bytes
        self._something.set()
        return pending.stored

    async def run(self) -> None:
        """Append until cancelled."""
        while True:
            await self._something.wait()
            self._something.clear()
            while self._pending:
                batch = self._take_batch()
                self.number += 1
                self._storing = True
                await self._store(batch)
                self._storing = False
                for pending in batch:
                    if not pending.stored.done():
                        pending.stored.set_result(self.number)

    def close(self) -> None:
        """Give up what waits. Idempotent."""
        self._closed = True
        while self._pending:
            pending = self._pending.popleft()
            if not pending.stored.done():
                pending.stored.set_exception(Closed("the journal was closed meanwhile"))

    def _take_batch(self) -> list[_Pending]:
        batch: list[_Pending] = []
        size_bytes = 0
        while self._pending and (not batch or size_bytes + self._pending[0].size_bytes <= _RECORD_BYTES):
            pending = self._pending.popleft()
            size_bytes += pending.size_bytes
            batch.append(pending)
        self._pending_bytes -= size_bytes
        return batch

    async def _store(self, batch: list[_Pending]) -> None:
        events = [event for pending in batch for event in pending.events]
        record = Record(self._dispatcher, self.number, int(self._clock() * 1000), (), self._snapshot())
        body = encode(record, events)
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._publisher.publish(self._stream, body)
            except Unroutable:
                # Somebody deleted the stream; whoever follows it makes it anew.
                await asyncio.sleep(_FIRST_PAUSE_SECONDS)
            except BrokerUnavailable:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                return


def _retrieve(future: asyncio.Future[int]) -> None:
    # Whoever waited may be gone; that is no error to be logged.
    if not future.cancelled():
        future.exception()
