"""Messages come into being."""

from __future__ import annotations

from fair_kafka.ledger.commands import Publish, PublishEntry, Topic
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
        outcomes: list[Stored] = []
        noted: list[bytes] = []
        for entry in command.entries:
            keys = entry.keys if window_ms else ()
            if keys:
                outcome, serial = self._publish_keyed(entry, serial, noted)
            elif refusal := self._refusal(entry):
                outcome = refusal
            else:
                self._store.store_run(
                    entry.customer, serial, entry.partition, entry.base_offset, entry.size, entry.cost
                )
                outcome = tuple(map(id_of, range(serial, serial + entry.size))) if tell else ()
                serial += entry.size
            if tell:
                outcomes.append(outcome)
        if noted:
            self._store.dedup.keep(noted, self._store.now_ms + window_ms)
        return outcomes, serial

    def _refusal(self, entry: PublishEntry) -> Refusal | None:
        log = self._store.logs.of(Topic.MESSAGES, entry.partition)
        log.announce(entry.base_offset, entry.size)
        if not self._store.places.is_current(entry.partition, entry.epoch):
            return Refusal.STALE
        return Refusal.CLEANED if entry.base_offset < log.released else None

    def _publish_keyed(self, entry: PublishEntry, serial: int, noted: list[bytes]) -> tuple[Stored, int]:
        find = self._store.dedup.find
        refusal = self._refusal(entry)
        known = [find(key) for key in entry.keys]
        if refusal and None in known:
            return refusal, serial
        serials: list[int] = []
        begin = size = 0  # the run of messages that are new
        for place, key in enumerate(entry.keys):
            stored = find(key)  # anew: a key may come twice in one entry
            if stored is None:
                self._store.dedup.remember(key, serial)
                noted.append(key)
                stored = serial
                serial += 1
                begin, size = (begin, size + 1) if size else (place, 1)
            elif size:
                self._store_part(entry, serial - size, begin, size)
                size = 0
            serials.append(stored)
        if size:
            self._store_part(entry, serial - size, begin, size)
        return tuple(map(id_of, serials)), serial

    def _store_part(self, entry: PublishEntry, serial: int, begin: int, size: int) -> None:
        offset = entry.base_offset + begin
        self._store.store_run(entry.customer, serial, entry.partition, offset, size, entry.cost)
