"""Snapshots of the state: written so that the ledger stays short, loaded so that nobody replays all of it."""

from __future__ import annotations

import logging

from broker_core.errors import BrokerUnavailable
from fair_kafka.cluster import Lane
from fair_kafka.errors import Refused
from fair_kafka.ledger.pieces import complete_snapshots, cut
from fair_kafka.ledger.snapshot import UnusableSnapshot, export_snapshot, restore_snapshot
from fair_kafka.ledger.state import Ledger
from fair_kafka.partitions import EARLIEST, LATEST, Partitions, Place, only
from fair_kafka.records import build_batch, read_batches

log = logging.getLogger(__name__)

MOST_BYTES_PER_REQUEST = 8 << 20


class Snapshots:
    """Reads and writes the snapshots of a namespace. Two are kept, and the ledger from the older one on."""

    def __init__(self, partitions: Partitions, snapshots: Place, ledger: Place) -> None:
        self._partitions = partitions
        self._snapshots = snapshots
        self._ledger = ledger
        # Of the snapshot before the next one: offset of its first piece, and what it had applied.
        self._last: tuple[int, int] | None = None
        self.last_bytes = 0

    async def load(self) -> Ledger:
        """Return the latest state from which the ledger can be followed, a new one if there is no snapshot.

        Raises Refused when the ledger's beginning is gone and no snapshot fits.
        """
        start = only(await self._partitions.ends([self._ledger], EARLIEST))
        found = await self._read()
        for applied_offset, data in sorted(found, reverse=True):
            try:
                ledger = restore_snapshot(data)
            except UnusableSnapshot as error:
                log.warning("a snapshot of the ledger is of no use: %s", error)
                continue
            if applied_offset + 1 >= start:
                self.last_bytes = len(data)
                return ledger
        if start == 0:
            return Ledger()
        # Usually another dispatcher has replaced the snapshots while they were read.
        raise Refused(f"the ledger begins at {start}, and no snapshot reaches up to there")

    async def _read(self) -> list[tuple[int, bytes]]:
        position = only(await self._partitions.ends([self._snapshots], EARLIEST))
        end = only(await self._partitions.ends([self._snapshots], LATEST))
        pieces: list[bytes] = []
        while position < end:
            wanted = {self._snapshots: (position, MOST_BYTES_PER_REQUEST)}
            answer = only(await self._partitions.fetch(Lane.FETCH, wanted, most_bytes=MOST_BYTES_PER_REQUEST))
            if answer.out_of_range:
                raise Refused("the snapshots were replaced while they were read")
            for after, records in read_batches(answer.data):
                pieces += (record.value for record in records if record.value and record.offset >= position)
                position = max(position, after)
        return list(complete_snapshots(pieces))

    async def write(self, ledger: Ledger) -> None:
        """Write a snapshot, then delete what nobody needs any more: all before the snapshot before it."""
        applied_offset = ledger.applied_offset
        data = export_snapshot(ledger)
        first_offset: int | None = None
        for piece in cut(applied_offset, data):
            batch = build_batch([(None, piece, ())])
            stored = only(await self._partitions.store(Lane.STORE, {self._snapshots: batch}))
            first_offset = stored.first_offset if first_offset is None else first_offset
        self.last_bytes = len(data)
        previous, self._last = self._last, (first_offset or 0, applied_offset)
        if previous is None:
            return
        offset, applied = previous
        answers = await self._partitions.delete_before({self._snapshots: offset, self._ledger: applied + 1})
        for answer in answers.values():
            if isinstance(answer, BrokerUnavailable):
                raise answer
