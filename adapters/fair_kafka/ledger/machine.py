"""Applies commands in the order of the log; the same log gives the same state and the same answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fair_kafka.ledger import commands as c
from fair_kafka.ledger import outcomes as o
from fair_kafka.ledger.entries import Entry
from fair_kafka.ledger.leases import Leases
from fair_kafka.ledger.publishing import Publisher
from fair_kafka.ledger.receipts import INDEX_BITS
from fair_kafka.ledger.receiving import Receiver, received
from fair_kafka.ledger.sessions import Session

DONE = o.Done()
DUPLICATE = o.Duplicate()
UNKNOWN_SESSION = o.UnknownSession()
NOBODY = o.JanitorIs(0, 0)

_Handler = Callable[[Any, Session], o.Outcome | None]


class Machine(Leases):
    """The state of a namespace, and how each command changes it. Pure: time is that of the records.

    listener: answers are made for this session only, for all if it is None; it has no other effect.
    applied_offset: of the last record, -1 before the first. janitor: who cleans, and until when.
    """

    def __init__(self, listener: int | None = None) -> None:
        super().__init__()
        self.listener = listener
        self.applied_offset = -1
        self.janitor = NOBODY
        self._next_serial = 0
        self._publisher = Publisher(self)
        self._receiver = Receiver(self)
        self._answers: list[o.Answer] = []
        self._handlers: dict[type[c.Command], _Handler] = {
            c.Tick: lambda _command, _session: DONE,
            c.AssignPartitions: self._assign,
            c.PartitionsAdded: self._partitions_added,
            c.Publish: self._publish,
            c.Receive: self._receive,
            c.Revoke: self._revoke,
            c.Settle: self._settle,
            c.Extend: self._extend,
            c.SetPolicy: self._set_policy,
            c.Purge: self._purge,
            c.EndDeadLetters: self._end_dead_letters,
            c.Vanished: self._vanished,
            c.Undecodable: self._undecodable,
            c.Relocate: self._relocate,
            c.Clean: self._clean,
            c.Janitor: self._janitor,
        }

    def apply(self, offset: int, timestamp_ms: int, commands: Sequence[c.Command]) -> list[o.Answer]:
        """Apply the commands of one record and return the answers that came of it, in their order.

        A record at or below `applied_offset` changes nothing. Time never goes back: the latest counts.
        """
        if offset <= self.applied_offset:
            return []
        self.applied_offset = offset
        self._next_serial = offset << INDEX_BITS
        self._answers = []
        self._let_time_pass(timestamp_ms)
        for command in commands:
            self._apply_one(command)
        answers, self._answers = self._answers, []
        return answers

    def _hears(self, session: int) -> bool:
        return self.listener is None or self.listener == session

    def _answer(self, session: int, sequence: int, outcome: o.Outcome) -> None:
        if self._hears(session):
            self._answers.append(o.Answer(session, sequence, outcome))

    # Time.

    def _let_time_pass(self, timestamp_ms: int) -> None:
        if timestamp_ms <= self.now_ms:
            return
        self.now_ms = timestamp_ms
        for session in self.sessions.forget_silent(timestamp_ms):
            self.waiters.remove_session(session)
        self.dedup.forget_old(timestamp_ms)
        self.expire()
        self.drop_old_dead()
        self.places.end_reservations(timestamp_ms)
        for waiter in self.waiters.pop_overdue(timestamp_ms):
            receive = waiter.receive
            self._answer(receive.session, receive.sequence, o.Received(timestamp_ms, ()))
        self._serve_waiters()

    def _serve_waiters(self) -> None:
        while len(self.waiters) and len(self.ring):
            served = self._receiver.serve_next_waiter()
            if served is None:
                return
            self._answer_receive(*served)

    def _answer_receive(self, command: c.Receive, taken: list[Entry]) -> None:
        if self._hears(command.session):
            outcome = received(command, taken, self.now_ms + command.lease_ms)
            self._answers.append(o.Answer(command.session, command.sequence, outcome))

    # One command.

    def _apply_one(self, command: c.Command) -> None:
        number, sequence = command.session, command.sequence
        if isinstance(command, c.Open):
            self._answer(number, sequence, self._open(command))
            return
        session = self.sessions.get(number)
        if session is None:
            self._answer(number, sequence, UNKNOWN_SESSION)
            return
        self.sessions.seen(number, session, self.now_ms)
        if not session.note(sequence):
            self._answer(number, sequence, DUPLICATE)
            return
        if isinstance(command, c.Close):
            outcome: o.Outcome | None = self._close(number)
        else:
            outcome = self._handlers[type(command)](command, session)
        if outcome is not None:
            self._answer(number, sequence, outcome)
        self._serve_waiters()

    def _open(self, command: c.Open) -> o.Outcome:
        known = self.sessions.get(command.session)
        if known is not None and known.knows(command.sequence):
            return DUPLICATE
        first = not self.places.most
        self.places.configure(
            command.hashed_partitions, command.max_partitions, command.partitions_step, first=first
        )
        session = self.sessions.open(command)
        session.note(command.sequence)
        self.sessions.seen(command.session, session, self.now_ms)
        self.drop_old_dead()
        return o.Opened(self.places.hashed, self.places.missing)

    def _close(self, session: int) -> o.Outcome:
        self.waiters.remove_session(session)
        self.sessions.close(session)
        if self.janitor.session == session:
            self.janitor = NOBODY
        return DONE

    def _assign(self, command: c.AssignPartitions, _session: Session) -> o.Outcome:
        return self.places.assign(command.customers, self.now_ms, share=command.share)

    def _partitions_added(self, command: c.PartitionsAdded, _session: Session) -> o.Outcome:
        self.places.add(command.count)
        return DONE

    def _publish(self, command: c.Publish, session: Session) -> o.Outcome | None:
        tell = self._hears(command.session)
        stored, self._next_serial = self._publisher.publish(
            command, self._next_serial, session.settings.dedup_window_ms, tell=tell
        )
        return o.Published(tuple(stored)) if tell else None

    def _receive(self, command: c.Receive, session: Session) -> o.Outcome | None:
        taken = self._receiver.take(command, session)
        if not taken and command.wait_ms > 0:
            self._receiver.begin_wait(command)
        else:
            self._answer_receive(command, taken)
        return None

    def _revoke(self, command: c.Revoke, session: Session) -> o.Outcome:
        if session.note(command.receive_sequence):
            return o.Revoked(0, waiting=False)
        waiting = self.waiters.remove(command.session, command.receive_sequence)
        count = 0 if waiting else self.revoke(command.session, command.receive_sequence)
        return o.Revoked(count, waiting)

    def _settle(self, command: c.Settle, session: Session) -> o.Outcome:
        return o.Settled(tuple(self.settle(command, session.settings.max_attempts)))

    def _extend(self, command: c.Extend, _session: Session) -> o.Outcome:
        until_ms, lost = self.extend(command)
        return o.Extended(until_ms, tuple(lost))

    def _set_policy(self, command: c.SetPolicy, _session: Session) -> o.Outcome:
        self.set_policy(command.customer, command.policy)
        return DONE

    def _purge(self, command: c.Purge, _session: Session) -> o.Outcome:
        customer = self.customers.get(command.customer)
        return o.Counted(0 if customer is None else self.purge(customer))

    def _end_dead_letters(self, command: c.EndDeadLetters, _session: Session) -> o.Outcome:
        wanted = None if command.serials is None else set(command.serials)
        chosen = [
            entry for entry in self.dead.of(command.customer) if wanted is None or entry.serial in wanted
        ]
        for entry in chosen:
            if command.redrive:
                self.redrive(entry)
            else:
                self.remove_dead(entry)
        return o.Counted(len(chosen))

    def _vanished(self, command: c.Vanished, _session: Session) -> o.Outcome:
        return o.Counted(sum([self.vanished(gone) for gone in command.gone]))

    def _undecodable(self, command: c.Undecodable, _session: Session) -> o.Outcome:
        return o.Settled(tuple(self.bury_undecodable(command.held)))

    def _relocate(self, command: c.Relocate, _session: Session) -> o.Outcome:
        return o.Relocated(tuple([self.move_payload(move) for move in command.moves]))

    def _clean(self, command: c.Clean, _session: Session) -> o.Outcome:
        log = self.logs.of(command.topic, command.partition)
        released = log.release(command.up_to, orphans=command.orphans)
        return o.Cleaned(command.topic, command.partition, released)

    def _janitor(self, command: c.Janitor, _session: Session) -> o.Outcome:
        if self.janitor.session == command.session or self.janitor.until_ms <= self.now_ms:
            self.janitor = o.JanitorIs(command.session, self.now_ms + command.ms)
        return self.janitor
