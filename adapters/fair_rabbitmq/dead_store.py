"""Payloads of dead letters: a stream, read by offset, which takes nothing out of it.

A queue could only be listed by taking everything out of it unacked, hidden meanwhile from others that
list. In the stream a dead letter's place is its offset, which the journal keeps with its id; what was
redriven or removed is forgotten there and lies in the stream until its age removes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from broker_core.errors import BrokerUnavailable, Closed, DispatcherError
from fair_rabbitmq.journal.channels import Channels
from fair_rabbitmq.journal.journal_pb2 import Burial as EncodedBurial
from fair_rabbitmq.journal.wire import Entry, Publisher, StreamReader, declare_queue
from fair_rabbitmq.parcel import Parcel, decode_parcel, encode_parcel

log = logging.getLogger(__name__)

_SEGMENT_BYTES = 32 << 20
_SHORTEST_KEPT_SECONDS = 86_400  # a margin for retention that is set higher later, and for clocks
_AT_ONCE = 200
_IDLE_SECONDS = 2.0
_PROBE_SECONDS = 0.2
_GAP = 64  # entries that are read for nothing rather than asking anew
_READERS = 4


@dataclass(frozen=True, slots=True)
class Burial:
    """A message that dies: with how many attempts, why, and when (milliseconds since 1970)."""

    parcel: Parcel
    attempts: int
    reason: str
    died_at: int


@dataclass(slots=True, eq=False)
class _Pending:
    burial: Burial
    token: str
    place: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


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
        self._pending: dict[str, _Pending] = {}
        self._unsent: list[_Pending] = []
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
        pending = [_Pending(burial, secrets.token_hex(8)) for burial in burials]
        for one in pending:
            one.place.add_done_callback(_retrieve)
            self._pending[one.token] = one
        self._unsent += pending
        self._something.set()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return list(await asyncio.gather(*(one.place for one in pending)))
        except TimeoutError as error:
            raise BrokerUnavailable("the broker doesn't confirm the dead letters in time") from error
        finally:
            for one in pending:
                self._pending.pop(one.token, None)
            self._unsent = [one for one in self._unsent if one.token in self._pending]

    async def fetch(self, places: Iterable[int]) -> dict[int, Burial]:
        """Find what is at these places; those that aren't kept any more are missing in the result.

        Raises BrokerUnavailable. Reads little more than what is asked for.
        """
        found: dict[int, Burial] = {}
        results = await asyncio.gather(
            *(self._fetch_run(run, found) for run in _runs(sorted(set(places)))), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return found

    async def _fetch_run(self, run: list[int], found: dict[int, Burial]) -> None:
        wanted = set(run)
        async with self._reading, self._reader(run[0]) as reader:
            offset = -1
            while offset < run[-1]:
                entries = await reader.next(self._timeout_seconds)
                if not entries:
                    raise BrokerUnavailable("the broker doesn't send the dead letters in time")
                for entry in entries:
                    offset = entry.offset
                    if offset in wanted and (burial := _decode(entry)) is not None:
                        found[offset] = burial[1]

    def _reader(self, offset: int | str) -> StreamReader:
        return StreamReader(self._channels, self._stream, offset, timeout_seconds=self._timeout_seconds)

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
        probe = EncodedBurial(token=token).SerializeToString()
        for _ in range(math.ceil(self._timeout_seconds / _PROBE_SECONDS)):
            await self._publisher.publish(self._stream, probe)
            for entry in await reader.next(_PROBE_SECONDS):
                decoded = _decode(entry)
                if decoded is not None and decoded[0] == token:
                    return
        raise BrokerUnavailable("the broker doesn't send what was stored in time")

    async def _store_and_read_back(self, reader: StreamReader) -> None:
        sending: asyncio.Task[None] | None = None
        try:
            while self._pending or sending is not None or await self._more_comes():
                if sending is not None and sending.done():
                    sending, done = None, sending
                    done.result()
                if self._unsent and sending is None:
                    batch, self._unsent = self._unsent[:_AT_ONCE], self._unsent[_AT_ONCE:]
                    sending = asyncio.create_task(self._send(batch))
                for entry in await reader.next(0.01 if sending is not None or self._unsent else 0.1):
                    self._place(entry)
        finally:
            if sending is not None:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError, DispatcherError):
                    await sending

    async def _more_comes(self) -> bool:
        self._something.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._something.wait()
        return self._something.is_set()

    async def _send(self, batch: list[_Pending]) -> None:
        works = [self._publisher.publish(self._stream, _encode(one)) for one in batch]
        for result in await asyncio.gather(*works, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    def _place(self, entry: Entry) -> None:
        decoded = _decode(entry)
        one = self._pending.pop(decoded[0], None) if decoded is not None else None
        if one is not None and not one.place.done():
            one.place.set_result(entry.offset)

    def _fail(self, error: DispatcherError) -> None:
        self._unsent.clear()
        self._something.clear()
        while self._pending:
            _, one = self._pending.popitem()
            if not one.place.done():
                one.place.set_exception(error)


def _encode(pending: _Pending) -> bytes:
    burial = pending.burial
    return EncodedBurial(
        parcel=encode_parcel(burial.parcel),
        attempts=burial.attempts,
        reason=burial.reason,
        died_at=burial.died_at,
        token=pending.token,
    ).SerializeToString()


def _decode(entry: Entry) -> tuple[str, Burial] | None:
    try:
        encoded = EncodedBurial.FromString(entry.body)
    except DecodeError:
        log.warning("entry %d among the dead letters is none; it is left out", entry.offset)
        return None
    burial = Burial(decode_parcel(encoded.parcel), encoded.attempts, encoded.reason, encoded.died_at)
    return encoded.token, burial


def _runs(places: list[int]) -> list[list[int]]:
    """Divide places into runs that are worth reading at once."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place - runs[-1][-1] <= _GAP:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs


def _retrieve(future: asyncio.Future[int]) -> None:
    # Whoever waited may be gone; that is no error to be logged.
    if not future.cancelled():
        future.exception()
