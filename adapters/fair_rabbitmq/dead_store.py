"""Payloads of dead letters: a stream, read by offset, which takes nothing out of it.

A queue could only be listed by taking everything out of it unacked, hidden meanwhile from others that
list. In the stream a dead letter's place stays, and the journal keeps it with the id; what was redriven
or removed is forgotten there and lies in the stream until its age removes it.

A place is the offset of an entry and the position of a burial in it: those that are given at the same
time share an entry, for the broker takes few messages a second and doesn't mind their size.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from broker_core.errors import BrokerUnavailable, Closed, DispatcherError
from fair_rabbitmq.ending import end_tasks
from fair_rabbitmq.journal.channels import Channels
from fair_rabbitmq.journal.journal_pb2 import Burial as EncodedBurial
from fair_rabbitmq.journal.journal_pb2 import Burials
from fair_rabbitmq.journal.wire import Entry, Publisher, StreamReader, declare_queue
from fair_rabbitmq.parcel import Parcel, decode_parcel, encode_parcel

log = logging.getLogger(__name__)

_SEGMENT_BYTES = 32 << 20
_SHORTEST_KEPT_SECONDS = 86_400  # a margin for retention that is set higher later, and for clocks
_POSITION_BITS = 12
_MOST_IN_AN_ENTRY = 1000  # less than 2 ** _POSITION_BITS
_ENTRY_BYTES = 512 << 10
_IDLE_SECONDS = 2.0
_PROBE_SECONDS = 0.2
_GAP = 16  # entries that are read for nothing rather than asking anew
_READERS = 4
_PREFETCH = 10


@dataclass(frozen=True, slots=True)
class Burial:
    """A message that dies: with how many attempts, why, and when (milliseconds since 1970)."""

    parcel: Parcel
    attempts: int
    reason: str
    died_at: int


@dataclass(slots=True, eq=False)
class _Pending:
    """Burials that are to be stored together; place: of the first, the others follow."""

    burials: Sequence[Burial]
    first_place: asyncio.Future[int]


class DeadStore:
    """Stores burials, tells the place of each, and finds them by their places.

    retention_seconds: how long they are kept at least. The stream removes whole segments only, so that
    the last one, 32 MiB at most, stays longer.
    """

    def __init__(
        self, channels: Channels, stream: str, *, retention_seconds: float, timeout_seconds: float
    ) -> None:
        self._channels, self._stream = channels, stream
        self._retention_seconds, self._timeout_seconds = retention_seconds, timeout_seconds
        self._publisher = Publisher(channels, timeout_seconds)
        self._unsent: deque[_Pending] = deque()
        self._sent: dict[str, list[_Pending]] = {}
        self._something = asyncio.Event()
        self._reading = asyncio.Semaphore(_READERS)
        self._closed = False

    async def declare(self) -> None:
        """Make the stream. Raises BrokerUnavailable."""
        seconds = max(math.ceil(self._retention_seconds) + 3600, _SHORTEST_KEPT_SECONDS)
        arguments: dict[str, str | int] = {
            "x-queue-type": "stream",
            "x-max-age": f"{seconds}s",
            "x-stream-max-segment-size-bytes": _SEGMENT_BYTES,
        }
        await declare_queue(self._channels, self._stream, arguments, self._timeout_seconds)

    async def close(self) -> None:
        """Give up what waits. Idempotent."""
        self._closed = True
        self._fail(Closed("the dispatcher was closed meanwhile"))
        await self._publisher.close()

    async def store(self, burials: Sequence[Burial]) -> list[int]:
        """Store burials and return their places. After BrokerUnavailable they may be stored, unnoticed."""
        if self._closed:
            raise Closed("the dispatcher is closed")
        self._channels.alarm.check()
        waiting = [
            self._queue(burials[start : start + _MOST_IN_AN_ENTRY])
            for start in range(0, len(burials), _MOST_IN_AN_ENTRY)
        ]
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await asyncio.gather(*(one.first_place for one in waiting))
        except TimeoutError as error:
            raise BrokerUnavailable("the broker doesn't confirm the dead letters in time") from error
        return [
            one.first_place.result() + position for one in waiting for position in range(len(one.burials))
        ]

    def _queue(self, burials: Sequence[Burial]) -> _Pending:
        pending = _Pending(burials, asyncio.get_running_loop().create_future())
        pending.first_place.add_done_callback(_retrieve)
        self._unsent.append(pending)
        self._something.set()
        return pending

    async def fetch(self, places: Iterable[int]) -> dict[int, Burial]:
        """Find what is at these places; those that aren't kept any more are missing in the result.

        Raises BrokerUnavailable. Reads little more than what is asked for.
        """
        positions: dict[int, list[int]] = {}
        for place in places:
            positions.setdefault(place >> _POSITION_BITS, []).append(place & (1 << _POSITION_BITS) - 1)
        found: dict[int, Burial] = {}
        works = [self._fetch_run(run, positions, found) for run in _runs(sorted(positions))]
        for result in await asyncio.gather(*works, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        return found

    async def _fetch_run(
        self, run: list[int], positions: dict[int, list[int]], found: dict[int, Burial]
    ) -> None:
        async with self._reading, self._reader(run[0]) as reader:
            offset = -1
            while offset < run[-1]:
                entries = await reader.next(self._timeout_seconds)
                if not entries:
                    raise BrokerUnavailable("the broker doesn't send the dead letters in time")
                for entry in entries:
                    offset = entry.offset
                    burials = _decode(entry).burials if offset in positions else ()
                    for position in positions.get(offset, ()):
                        if position < len(burials):
                            found[offset << _POSITION_BITS | position] = _burial(burials[position])

    def _reader(self, offset: int | str) -> StreamReader:
        return StreamReader(
            self._channels, self._stream, offset, timeout_seconds=self._timeout_seconds, prefetch=_PREFETCH
        )

    # Storing. A confirm doesn't tell the place, so what was stored is read back.

    async def run(self) -> None:
        """Store until cancelled; consumes only while there is something to store."""
        while True:
            await self._something.wait()
            try:
                async with self._reader("next") as reader:
                    await self._attach(reader)
                    await self._store_and_read_back(reader)
            except DispatcherError as error:
                self._fail(error)
                await asyncio.sleep(_PROBE_SECONDS)

    async def _attach(self, reader: StreamReader) -> None:
        """Wait until the broker really reads: it answers before it begins to."""
        token = secrets.token_hex(8)
        probe = Burials(token=token).SerializeToString()
        for _ in range(math.ceil(self._timeout_seconds / _PROBE_SECONDS)):
            await self._publisher.publish(self._stream, probe)
            if any(_decode(entry).token == token for entry in await reader.next(_PROBE_SECONDS)):
                return
        raise BrokerUnavailable("the broker doesn't send what was stored in time")

    async def _store_and_read_back(self, reader: StreamReader) -> None:
        sender = asyncio.create_task(self._send())
        try:
            while True:
                entries = await reader.next(_IDLE_SECONDS)
                for entry in entries:
                    self._place(entry)
                if sender.done():
                    sender.result()
                if not (entries or self._sent or self._unsent):
                    return
        finally:
            await end_tasks([sender])

    async def _send(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while self._unsent:
                batch, token = self._take_batch(), secrets.token_hex(8)
                encoded = Burials(token=token)
                for pending in batch:
                    encoded.burials.extend(map(_encode, pending.burials))
                self._sent[token] = batch
                try:
                    await self._publisher.publish(self._stream, encoded.SerializeToString())
                except DispatcherError as error:
                    self._fail(error)
                    raise

    def _take_batch(self) -> list[_Pending]:
        batch: list[_Pending] = []
        count = size_bytes = 0
        while self._unsent:
            burials = self._unsent[0].burials
            count += len(burials)
            size_bytes += sum(len(burial.parcel.body) + len(burial.reason) for burial in burials)
            if batch and (count > _MOST_IN_AN_ENTRY or size_bytes > _ENTRY_BYTES):
                break
            batch.append(self._unsent.popleft())
        return batch

    def _place(self, entry: Entry) -> None:
        place = entry.offset << _POSITION_BITS
        for pending in self._sent.pop(_decode(entry).token, ()):
            if not pending.first_place.done():
                pending.first_place.set_result(place)
            place += len(pending.burials)

    def _fail(self, error: DispatcherError) -> None:
        waiting = [*self._unsent, *(pending for batch in self._sent.values() for pending in batch)]
        self._unsent.clear()
        self._sent.clear()
        self._something.clear()
        for pending in waiting:
            if not pending.first_place.done():
                pending.first_place.set_exception(error)


def _encode(burial: Burial) -> EncodedBurial:
    return EncodedBurial(
        parcel=encode_parcel(burial.parcel),
        attempts=burial.attempts,
        reason=burial.reason,
        died_at=burial.died_at,
    )


def _burial(encoded: EncodedBurial) -> Burial:
    return Burial(decode_parcel(encoded.parcel), encoded.attempts, encoded.reason, encoded.died_at)


def _decode(entry: Entry) -> Burials:
    try:
        return Burials.FromString(entry.body)
    except DecodeError:
        log.warning("entry %d among the dead letters is none; it is left out", entry.offset)
        return Burials()


def _runs(offsets: list[int]) -> list[list[int]]:
    """Divide offsets into runs that are worth reading at once."""
    runs: list[list[int]] = []
    for offset in offsets:
        if runs and offset - runs[-1][-1] <= _GAP:
            runs[-1].append(offset)
        else:
            runs.append([offset])
    return runs


def _retrieve(future: asyncio.Future[int]) -> None:
    # Whoever waited may be gone; that is no error to be logged.
    if not future.cancelled():
        future.exception()
