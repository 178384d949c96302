"""Finds the latest snapshot in the stream and reads on from there."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from fair_rabbitmq.journal.channels import Channels
from fair_rabbitmq.journal.events import Record
from fair_rabbitmq.journal.following import Assembly, read_record
from fair_rabbitmq.journal.replica import Replica
from fair_rabbitmq.journal.wire import StreamReader

log = logging.getLogger(__name__)

_LOOK_BACK = (64, 4096)  # offsets; some record within them tells of the latest snapshot
_MARK_SECONDS = 0.5


class Replaced(Exception):
    """The stream was deleted, and is another one now."""


class Loader:
    """Reads a journal of any length by reading one snapshot and what came after it.

    mark: appends a record and returns its number; until it is read back the journal isn't complete. None
    if the broker takes nothing in: then what is last is the end, since nobody else can write either.
    """

    def __init__(
        self,
        channels: Channels,
        stream: str,
        dispatcher: str,
        timeout_seconds: float,
        new_replica: Callable[[], Replica],
        mark: Callable[[], Awaitable[int | None]],
    ) -> None:
        self._channels, self._stream, self._dispatcher = channels, stream, dispatcher
        self._timeout_seconds, self._new_replica, self._mark = timeout_seconds, new_replica, mark

    async def load(self) -> tuple[Assembly, StreamReader]:
        """Read the journal up to its end; return what it amounts to, and the reader, which stands there.

        Raises BrokerUnavailable. To be bounded by the caller.
        """
        found, end = await self._find_snapshot()
        pointer = -1 if found is None else found
        while True:
            # The record itself is read too: if it isn't there any more, the journal has a gap.
            reader = await self._reader(pointer if pointer >= 0 else "first").open()
            try:
                assembly = Assembly(pointer, self._new_replica)
                complete = await self._read_until(reader, assembly, end)
                if complete and (pointer >= 0 or assembly.collector.latest < 0):
                    return assembly, reader
            except BaseException:
                await reader.close()
                raise
            await reader.close()
            if complete:
                pointer = assembly.collector.latest
            else:
                log.error("the journal's snapshot isn't kept any more: its stream is too small")
                pointer = -1

    async def resume(self, assembly: Assembly) -> tuple[list[Record], StreamReader] | None:
        """Read on behind the last entry; return the records that are new; None if that entry is gone.

        Raises Replaced if the stream isn't that which the entry was in.
        """
        if assembly.offset < 0:
            return None
        if await self.end() < assembly.offset:
            raise Replaced
        reader = await self._reader(assembly.offset).open()
        try:
            entries = await reader.next(self._timeout_seconds)
            if entries and entries[0].offset == assembly.offset:
                if entries[0].body != assembly.last:
                    raise Replaced
                return [record for record in map(assembly.feed, entries) if record is not None], reader
        except BaseException:
            await reader.close()
            raise
        await reader.close()
        return None

    async def end(self) -> int:
        """Tell the last entry's offset, -1 if there is none. Writes nothing; to be bounded by the caller."""
        async with self._reader("last") as reader:
            entries = await reader.next(_MARK_SECONDS)
        return entries[-1].offset if entries else -1

    def _reader(self, offset: int | str) -> StreamReader:
        return StreamReader(self._channels, self._stream, offset, timeout_seconds=self._timeout_seconds)

    async def _read_until(self, reader: StreamReader, assembly: Assembly, end: int) -> bool:
        """Read up to an offset; False if the snapshot isn't there, or not whole."""
        while assembly.offset < end:
            for entry in await reader.next(self._timeout_seconds):
                if assembly.offset < 0 <= assembly.pointer != entry.offset:
                    return False
                assembly.feed(entry)
        return assembly.replica is not None

    async def _find_snapshot(self) -> tuple[int | None, int]:
        """Return where the latest snapshot is, None if unknown, and the offset of a record just written.

        Records name the latest snapshot that their writers know, so that the last one is enough.
        """
        found: int | None = None
        first = end = -1
        async with self._reader("last") as reader:
            numbers: set[int] = set()
            while end < 0:
                # The broker may begin to read after the mark is stored, and what is last is another's.
                number = await self._mark()
                if number is not None:
                    numbers.add(number)
                entries = await reader.next(_MARK_SECONDS)
                for entry in entries:
                    first = entry.offset if first < 0 else first
                    record = read_record(entry)
                    if record is None:
                        continue
                    if record.snapshot is not None:
                        found = record.snapshot
                    if record.dispatcher == self._dispatcher and record.number in numbers:
                        end = entry.offset
                if number is None:
                    end = entries[-1].offset if entries else first
                    break
        for distance in _LOOK_BACK:
            # Those who are just starting don't know it.
            if found is None and first > 0:
                found = await self._look_back(max(0, first - distance), first)
        return found, end

    async def _look_back(self, start: int, end: int) -> int | None:
        found: int | None = None
        offset = -1
        async with self._reader(start) as reader:
            while offset < end:
                entries = await reader.next(self._timeout_seconds)
                if not entries:
                    break
                for entry in entries:
                    offset = entry.offset
                    record = read_record(entry)
                    if record is not None and record.snapshot is not None:
                        found = record.snapshot
        return found
