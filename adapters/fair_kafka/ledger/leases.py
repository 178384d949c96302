"""Leases: how they end, by a verb or by time, and how they are renewed."""

from __future__ import annotations

from collections.abc import Iterator

from broker_core.adapter import Verb
from fair_kafka.ledger.commands import Extend, Gone, Held, Move, Settle
from fair_kafka.ledger.entries import Entry, State
from fair_kafka.ledger.receipts import receipt_of
from fair_kafka.ledger.store import Store

LAST_ATTEMPT_EXPIRED = "lease expired on the last attempt"
UNDECODABLE = "undecodable entry"


class Leases(Store):
    """Ends each lease once: by the verb of its owner, or by time when nobody renewed it."""

    def expire(self) -> None:
        """End leases and delays whose time has come."""
        while entries := self.leases.pop_due(self.now_ms):
            for entry in entries:
                self._expire(entry)
        while entries := self.delays.pop_due(self.now_ms):
            for entry in entries:
                self.make_ready(entry)

    def _expire(self, entry: Entry) -> None:
        lease, entry.lease = entry.lease, None
        if lease is not None and entry.attempts >= lease.max_attempts:
            self.bury(entry, LAST_ATTEMPT_EXPIRED)
        else:
            self.make_ready(entry)

    def settle(self, command: Settle, max_attempts: int) -> list[str]:
        """End leases and return the receipts that were lost; those change nothing."""
        if command.verb is Verb.ACK:
            return self._ack(command.held)
        lost: list[str] = []
        for entry in self._leased(command.held, lost):
            self.end_lease(entry)
            match command.verb:
                case Verb.NACK:
                    self._nack(entry, command, max_attempts)
                case Verb.RELEASE:
                    self.release(entry)
                case Verb.DEAD_LETTER:
                    self.bury(entry, command.reason)
        return lost

    def _ack(self, held: tuple[Held, ...]) -> list[str]:
        lost: list[str] = []
        acked: list[Entry] = []
        entries = self.entries
        for session, sequence, serials in held:
            for serial in serials:
                entry = entries.get(serial)
                if entry is None:
                    continue
                lease = entry.lease
                if lease is None or lease.sequence != sequence or lease.session != session:
                    lost.append(receipt_of(session, sequence, serial))
                    continue
                del entries[serial]
                acked.append(entry)
        self.leases.drop_all(acked)
        self.forget_leased(acked)
        return lost

    def _nack(self, entry: Entry, command: Settle, max_attempts: int) -> None:
        if entry.attempts >= max_attempts:
            self.bury(entry, command.reason)
        elif command.delay_ms > 0:
            self.delay(entry, command.delay_ms)
        else:
            self.make_ready(entry)

    def release(self, entry: Entry) -> None:
        """Make an entry whose lease was ended ready again without counting the attempt."""
        entry.attempts -= 1
        self.make_ready(entry)

    def bury_undecodable(self, held: tuple[Held, ...]) -> list[str]:
        """Make dead letters of leased entries without counting the attempt; return the lost receipts."""
        lost: list[str] = []
        for entry in self._leased(held, lost):
            self.end_lease(entry)
            entry.attempts -= 1
            self.bury(entry, UNDECODABLE)
        return lost

    def extend(self, command: Extend) -> tuple[int, list[str]]:
        """Let the leases end in lease_ms; return when that is, and the receipts that were lost."""
        until_ms = self.now_ms + command.lease_ms
        lost: list[str] = []
        for entry in self._leased(command.held, lost):
            self.leases.drop(entry)
            self.leases.plan(until_ms, entry)
        return until_ms, lost

    def _leased(self, held: tuple[Held, ...], lost: list[str]) -> Iterator[Entry]:
        """Yield the entries that are leased under these receipts, and note the other receipts."""
        for session, sequence, serials in held:
            for serial in serials:
                entry = self.entries.get(serial)
                lease = None if entry is None else entry.lease
                if entry is None or lease is None or (lease.session, lease.sequence) != (session, sequence):
                    lost.append(receipt_of(session, sequence, serial))
                else:
                    yield entry

    def revoke(self, session: int, sequence: int) -> int:
        """Give back what a Receive took and still holds, in the order of serials; return how much."""
        taken = [
            entry
            for entry in self.leases
            if (lease := entry.lease) and lease.sequence == sequence and lease.session == session
        ]
        for entry in sorted(taken, key=lambda entry: entry.serial):
            self.end_lease(entry)
            self.release(entry)
        return len(taken)

    def vanished(self, gone: Gone) -> bool:
        """Remove a message whose payload is gone from where it lies; tell whether there is such a one."""
        entry = self.entries.get(gone.serial)
        if entry is None or entry.ref != gone.source:
            return False
        match entry.state:
            case State.LEASED:
                self.end_lease(entry)
            case State.DELAYED:
                self.delays.drop(entry)
            case State.DEAD:
                self.dead.remove(entry)
            case State.READY:
                return False
        self.remove(entry)
        return True

    def move_payload(self, move: Move) -> bool:
        """Note where a payload was copied to; tell whether the message lies there now."""
        topic, partition, offset = move.target
        target = self.logs.of(topic, partition)
        target.announce(offset, 1)
        entry = self.entries.get(move.serial)
        if entry is None or entry.ref != move.source or offset < target.released:
            return False
        self.relocate(entry, topic, partition, offset)
        return True
