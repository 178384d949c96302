"""Messages come into being."""

from __future__ import annotations

from fair_kafka.ledger.commands import Publish, PublishEntry
from fair_kafka.ledger.logs import PartitionLog
from fair_kafka.ledger.outcomes import Refusal
from fair_kafka.ledger.receipts import id_of
from fair_kafka.ledger.store import Store

Stored = tuple[str, ...] | Refusal


class Publisher:
    """Stores the messages of Publish commands; a known key isn't stored again."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def publish(
        self, command: Publish, serial: int, window_ms: int, *, tell: bool
    ) -> tuple[list[Stored], int]:
        """Store the entries, with serials from this one on.

        Returns an outcome for each entry, if somebody wants to know, and the first serial that is not used.
        """
        store_run, of_messages = self._store.store_run, self._store.logs.of_messages
        outcomes: list[Stored] = []
        noted: list[bytes] = []
        for entry in command.entries:
            customer, partition, epoch, offset, size, cost, keys = entry
            log = of_messages(partition)
            log.announce(offset, size)
            refusal = self._refusal(log, epoch, offset)
            if keys and window_ms:
                outcome, serial = self._publish_keyed(entry, log, refusal, serial, noted)
            elif refusal:
                outcome = refusal
            else:
                store_run(customer, serial, log, offset, size, cost)
                outcome = tuple(map(id_of, range(serial, serial + size))) if tell else ()
                serial += size
            if tell:
                outcomes.append(outcome)
        if noted:
            self._store.dedup.keep(noted, self._store.now_ms + window_ms)
        return outcomes, serial

    def _refusal(self, log: PartitionLog, epoch: int, offset: int) -> Refusal | None:
        if not self._store.places.is_current(log.partition, epoch):
            return Refusal.STALE
        return Refusal.CLEANED if offset < log.released else None

    def _publish_keyed(
        self, entry: PublishEntry, log: PartitionLog, refusal: Refusal | None, serial: int, noted: list[bytes]
    ) -> tuple[Stored, int]:
        dedup = self._store.dedup
        if refusal and not all(key in dedup for key in entry.keys):
            return refusal, serial
        serials: list[int] = []
        begin = size = 0  # the run of messages that are new
        for place, key in enumerate(entry.keys):
            stored = dedup.find(key)
            if stored is None:
                dedup.remember(key, serial)
                noted.append(key)
                stored = serial
                serial += 1
                begin, size = (begin, size + 1) if size else (place, 1)
            elif size:
                self._store_part(entry, log, serial - size, begin, size)
                size = 0
            serials.append(stored)
        if size:
            self._store_part(entry, log, serial - size, begin, size)
        return tuple(map(id_of, serials)), serial

    def _store_part(self, entry: PublishEntry, log: PartitionLog, serial: int, begin: int, size: int) -> None:
        self._store.store_run(entry.customer, serial, log, entry.base_offset + begin, size, entry.cost)
