"""Leases: how they end, by a verb or by time, and how they are renewed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from broker_core.adapter import Settlement, Verb
from broker_core.settings import DispatcherSettings
from fair_memory.receipts import read_receipt
from fair_memory.states import Entry
from fair_memory.store import Store
from fair_memory.times import utc


class Leases(Store):
    """Ends each lease once: by the verb of its owner, or by time when nobody renewed it."""

    def advance(self, settings: DispatcherSettings) -> float:
        """End leases and delays whose time has come, drop dead letters that are too old; return the time."""
        now = self._clock()
        while (entry := self._lease_ends.pop_due(now)) is not None:
            self._expire(entry, settings)
        while (entry := self._delays.pop_due(now)) is not None:
            self._make_ready(entry)
        self._drop_old_dead(settings)
        return now

    def _expire(self, entry: Entry, settings: DispatcherSettings) -> None:
        self._end_lease(entry)
        if entry.attempts >= settings.max_attempts:
            self._bury(entry, "lease expired on the last attempt")
        else:
            self._make_ready(entry)

    def settle(
        self, receipts: Sequence[str], settlement: Settlement, settings: DispatcherSettings
    ) -> list[str]:
        """End the leases and return the receipts that were lost; those change nothing."""
        entries = [self._find_leased(receipt) for receipt in receipts]
        lost: list[str] = []
        for receipt, entry in zip(receipts, entries, strict=True):
            if entry is not None:
                self._end_lease(entry)
                self._settle_one(entry, settlement, settings)
            elif settlement.verb is not Verb.ACK or self._exists(receipt):
                lost.append(receipt)
        if settlement.verb is not Verb.ACK:
            self._waiters.wake()
        return lost

    def _settle_one(self, entry: Entry, settlement: Settlement, settings: DispatcherSettings) -> None:
        match settlement.verb:
            case Verb.ACK:
                self._remove(entry)
            case Verb.NACK:
                self._nack(entry, settlement, settings)
            case Verb.RELEASE:
                entry.attempts -= 1
                self._make_ready(entry)
            case Verb.DEAD_LETTER:
                self._bury(entry, settlement.reason)

    def _nack(self, entry: Entry, settlement: Settlement, settings: DispatcherSettings) -> None:
        if entry.attempts >= settings.max_attempts:
            self._bury(entry, settlement.reason)
        elif settlement.delay_seconds > 0:
            self._delay(entry, settlement.delay_seconds)
        else:
            self._make_ready(entry)

    def extend(self, receipts: Sequence[str], seconds: float) -> list[datetime | None]:
        """Let the leases end in `seconds`; return their ends, None for those that were lost."""
        entries = [self._find_leased(receipt) for receipt in receipts]
        until = self._lease_end(seconds)
        for entry in entries:
            if entry is not None:
                self._lease_ends.plan(until, entry)
        self._waiters.wake(until)
        return [None if entry is None else utc(until) for entry in entries]

    def _lease_end(self, seconds: float) -> float:
        # To a microsecond, as deliveries tell it: a lease never ends before.
        return round(self._clock() + seconds, 6)

    def _find_leased(self, receipt: str) -> Entry | None:
        entry = self._leased.get(receipt)
        if entry is None:
            read_receipt(receipt)
        return entry

    def _exists(self, receipt: str) -> bool:
        entry_id, name = read_receipt(receipt)
        return name in self._customers and entry_id in self._customers[name].entries
