"""Reads the journal: finds the latest snapshot, replays what came after it, and goes on with what comes."""

from __future__ import annotations

import logging
from collections.abc import Callable

from google.protobuf.message import DecodeError

from fair_rabbitmq.journal.codec import UndecodableRecord, decode
from fair_rabbitmq.journal.events import Record
from fair_rabbitmq.journal.replica import Replica
from fair_rabbitmq.journal.snapshots import Collector, load
from fair_rabbitmq.journal.wire import Entry

log = logging.getLogger(__name__)


class Assembly:
    """Builds a replica from the entries of a journal, in order.

    pointer: the offset that a complete snapshot holds the state of, -1 to begin with nothing. Until the
    snapshot is complete `replica` is None and what comes is kept.
    """

    def __init__(self, pointer: int, new_replica: Callable[[], Replica]) -> None:
        self.pointer = pointer
        self.collector = Collector(wanted=pointer if pointer >= 0 else None)
        self.replica: Replica | None = new_replica() if pointer < 0 else None
        self.offset = -1
        """Of the last entry that was taken in."""
        self.last = b""
        self.bytes_since_snapshot = 0
        self._new_replica = new_replica
        self._kept: list[Record] = []

    def feed(self, entry: Entry) -> Record | None:
        """Take an entry in; return its record if it is new and the replica holds it now."""
        if entry.offset <= self.offset:
            return None
        self.offset, self.last = entry.offset, entry.body
        record = read_record(entry)
        if record is None:
            return None
        self.bytes_since_snapshot += len(entry.body)
        before = self.collector.latest
        for event in record.events:
            self.collector.feed(event)
        if self.collector.latest > before:
            # What came between its offset and its end is neglected: it is little, or comes with the next.
            self.bytes_since_snapshot = 0
        if self.replica is not None:
            return record if self.replica.apply(record) else None
        if entry.offset > self.pointer:
            self._kept.append(record)
        self._load()
        return None

    def _load(self) -> None:
        if self.collector.parts is None:
            return
        parts, self.collector.parts = self.collector.parts, []
        try:
            self.replica = load(parts, self._new_replica)
        except (DecodeError, ValueError):
            log.exception("the journal's snapshot can't be decoded; what it held is not known any more")
            self.replica = self._new_replica()
        for record in self._kept:
            self.replica.apply(record)
        self._kept.clear()


def read_record(entry: Entry) -> Record | None:
    """Decode an entry; None for what no dispatcher wrote."""
    try:
        return decode(entry.body)
    except UndecodableRecord:
        log.warning("entry %d of the journal is not a record; it is left out", entry.offset)
        return None
