"""A ledger and the model in memory, given the same commands; milliseconds here are seconds there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from broker_core.adapter import Settlement, Verb
from broker_core.model import Backlog, CustomerPolicy, Delivery, Message
from fair_kafka.ledger import commands as c
from fair_kafka.ledger import outcomes as o
from fair_kafka.ledger.receipts import held_of, serial_of
from fair_kafka.ledger.runs import ProducedRecord, runs_of
from fair_kafka.ledger.snapshot import export_snapshot, restore_snapshot
from fair_kafka.ledger.state import Ledger
from fair_memory.broker import MemoryBroker
from fair_memory.settings import MemorySettings
from tests.adapters.kafka.ledger_driver import A, B, Driver, expect

START = 1_700_000_000
LIMITS = {"max_attempts": 3, "dedup_window": 40, "dead_letter_retention": 150}
MOST_STALE = 20


@dataclass(frozen=True, slots=True)
class Both:
    """One hand-over, as each side has it."""

    ours: o.HandedOver
    model: Delivery


class Pair:
    """Applies each command to the ledger and to the model, and asserts that the same comes back."""

    def __init__(self, quantum: int, max_partitions: int, hashed: int = 0) -> None:
        self.now = START
        self.driver = Driver()
        self.driver.now_ms = START
        self.model = MemoryBroker(lambda: float(self.now))
        self.settings = MemorySettings.load(quantum=quantum, **LIMITS)
        self.ids: dict[str, str] = {}
        self.held: list[Both] = []
        self.stale: list[Both] = []
        self.payloads = 0
        for session in (A, B):
            self.driver.open(
                session,
                quantum=quantum,
                max_attempts=3,
                dedup_window_ms=40,
                dead_letter_retention_ms=150,
                max_partitions=max_partitions,
                hashed_partitions=hashed,
            )
        self.driver.do(c.PartitionsAdded, hashed or max_partitions)

    def _do(self, *arguments: Any, **more: Any) -> o.Outcome:
        self.model.advance(self.settings)
        return self.driver.do(*arguments, **more)

    def pass_time(self, ms: int) -> None:
        self.now += ms
        self.driver.pass_time(ms)
        self.model.advance(self.settings)

    def publish(self, batch: Sequence[tuple[str, int, str | None]]) -> None:
        """Publish (customer, cost, key): records of a customer lie together, as a producer writes them."""
        batch = sorted(batch, key=lambda one: one[0])
        customers = tuple(dict.fromkeys(customer for customer, _, _ in batch))
        if not all(map(self.driver.ledger.place_of, customers)):
            # All of them: what is kept for the one is not taken for the other.
            self._do(c.AssignPartitions, customers)
        messages = [Message(customer, b"", {}, key, cost) for customer, cost, key in batch]
        records = []
        for customer, cost, key in batch:
            entry = self.driver.entry(customer, 1, cost, (key,) if key else ())
            hashed = entry.keys[0] if entry.keys else None
            records.append(ProducedRecord(*entry[:4], cost, hashed))
        published = expect(o.Published, self._do(c.Publish, runs_of(records)))
        ours = [text for entry in published.entries if isinstance(entry, tuple) for text in entry]
        self._same_ids(ours, self.model.publish(messages, self.settings))

    def _same_ids(self, ours: Sequence[str], model: Sequence[object]) -> None:
        for one, other in zip(ours, model, strict=True):
            assert self.ids.setdefault(one, str(other)) == other

    def receive(self, count: int, session: int) -> list[Both]:
        expected = self.model.receive(count, self.settings)
        received = expect(o.Received, self._do(c.Receive, count, 30, session=session))
        got = received.messages
        self._same_ids([one.id for one in got], [one.id for one in expected])
        fresh = [Both(one, other) for one, other in zip(got, expected, strict=True)]
        for both in fresh:
            ours, model = both.ours, both.model
            assert (ours.customer, ours.attempt) == (model.customer, model.attempt)
            assert (ours.published_ms, received.lease_until_ms) == (
                model.published_at.timestamp(),
                model.lease_until.timestamp(),
            )
            assert ours.cost == model.message.cost
        self.held += fresh
        return fresh

    def lose_an_answer(self, count: int, session: int) -> None:
        """Receive and revoke, which is as if it had never been, but for the order of the ring."""
        taken = self.receive(count, session)
        receipts = [both.model.receipt for both in sorted(taken, key=lambda both: both.ours.serial)]
        self.model.settle(receipts, Settlement(Verb.RELEASE), self.settings)
        revoked = self._do(c.Revoke, self.driver.sequences[session], session=session)
        assert revoked == o.Revoked(len(taken), waiting=False)
        self._forget(taken)

    def settle(
        self, verb: Verb, some: Sequence[Both], session: int, delay_ms: int = 0, reason: str = ""
    ) -> None:
        held = held_of(both.ours.receipt for both in some)
        settled = expect(o.Settled, self._do(c.Settle, verb, held, delay_ms, reason, session=session))
        # The ledger takes receipts by the receive that they are of.
        place = {both.ours.receipt: both for both in some}
        order = [self._receipt(group, serial) for group in held for serial in group.serials]
        lost = self.model.settle(
            [place[receipt].model.receipt for receipt in order],
            Settlement(verb, float(delay_ms), reason),
            self.settings,
        )
        assert [place[receipt].model.receipt for receipt in settled.lost] == lost
        self._forget(some)

    def _receipt(self, group: c.Held, serial: int) -> str:
        return next(
            both.ours.receipt
            for both in (*self.held, *self.stale)
            if both.ours.serial == serial and held_of([both.ours.receipt])[0][:2] == group[:2]
        )

    def extend(self, some: Sequence[Both], lease_ms: int) -> None:
        held = held_of(both.ours.receipt for both in some)
        extended = expect(o.Extended, self._do(c.Extend, held, lease_ms))
        ends = self.model.extend([both.model.receipt for both in some], float(lease_ms))
        lost = {both.ours.receipt for both, end in zip(some, ends, strict=True) if end is None}
        assert set(extended.lost) == lost
        assert {end.timestamp() for end in ends if end} <= {extended.lease_until_ms}

    def _forget(self, some: Sequence[Both]) -> None:
        gone = {both.ours.receipt for both in some}
        self.held = [both for both in self.held if both.ours.receipt not in gone]
        self.stale = [*self.stale, *some][-MOST_STALE:]

    def drop_ended(self) -> None:
        """Put what is no longer leased among the stale."""
        leased = {entry.serial: entry.lease for entry in self.driver.ledger.leases}
        ended = []
        for both in self.held:
            lease = leased.get(both.ours.serial)
            ((session, sequence, _),) = held_of([both.ours.receipt])
            if lease is None or (lease.session, lease.sequence) != (session, sequence):
                ended.append(both)
        self._forget(ended)

    def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:
        self._do(c.SetPolicy, customer, policy)
        self.model.set_policy(customer, policy)

    def purge(self, customer: str) -> None:
        assert self._do(c.Purge, customer) == o.Counted(self.model.purge(customer))

    def end_dead_letters(self, customer: str, pick: int | None, *, redrive: bool) -> None:
        chosen = None
        letters = self.driver.ledger.dead_letters_page(customer, 1000, None).items
        if pick is not None and letters:
            chosen = [letters[pick % len(letters)]]
        assert all(serial_of(letter.id) == letter.serial for letter in letters)
        serials = None if chosen is None else tuple(letter.serial for letter in chosen)
        model_ids = None if chosen is None else [self.ids[letter.id] for letter in chosen]
        counted = self._do(c.EndDeadLetters, customer, serials, redrive)
        assert counted == o.Counted(
            self.model.end_dead_letters(customer, model_ids, self.settings, redrive=redrive)
        )

    def repeat(self, back: int) -> None:
        """Append a record again, as a producer does whose answer was lost: it changes nothing."""
        _, _, data = self.driver.log[-1 - back % len(self.driver.log)]
        for session in (A, B):  # so that neither is silent for a longer time than before
            self.driver.do(c.Tick, session=session)
        before = export_snapshot(self.driver.ledger)
        record = (len(self.driver.log), self.driver.now_ms, data)
        self.driver.log.append(record)
        answers = self.driver.ledger.apply_record(*record)
        assert {type(answer.outcome) for answer in answers} == {o.Duplicate}
        after = restore_snapshot(export_snapshot(self.driver.ledger))
        after.applied_offset -= 1
        assert export_snapshot(after) == before

    def restore(self) -> None:
        """Go on with a ledger that was restored from a snapshot."""
        self.driver.ledger = restore_snapshot(export_snapshot(self.driver.ledger))

    # Comparing.

    def compare(self, customers: Sequence[str]) -> None:
        ledger = self.driver.ledger
        for customer in (None, *customers):
            backlog, policy = self.model.inspect(customer, self.settings)
            assert ledger.backlog(customer) == backlog
            assert customer is None or ledger.policy(customer) == policy
        assert self._pages() == self.model.customers(1000, None, self.settings).items
        for customer in (None, *customers):
            ours = ledger.dead_letters_page(customer, 1000, None).items
            model = self.model.dead_letters(customer, 1000, None, self.settings).items
            assert [
                (self.ids[one.id], one.customer, one.attempts, one.reason, one.died_ms) for one in ours
            ] == [(one.id, one.customer, one.attempts, one.reason, one.died_at.timestamp()) for one in model]

    def _pages(self) -> list[Any]:
        items: list[Any] = []
        cursor = None
        while True:
            page = self.driver.ledger.customers_page(2, cursor)
            items += page.items
            cursor = page.cursor
            if cursor is None:
                return items

    def compare_replica(self) -> None:
        """One that applies the whole log, and listens to nobody, is in the same state."""
        replica = Ledger(listener=1)
        for record in self.driver.log:
            assert replica.apply_record(*record) == []
        assert export_snapshot(replica) == export_snapshot(self.driver.ledger)

    def assert_empty(self) -> None:
        ledger = self.driver.ledger
        assert ledger.backlog() == Backlog()
        assert (len(ledger.customers), len(ledger.entries), len(ledger.ring)) == (0, 0, 0)
        assert not ledger.places.reserved
        assert all(log.live == 0 and log.low == log.end for log in ledger.logs)
