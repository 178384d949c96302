"""A log in memory with a ledger behind it, for tests: appends commands as bytes and applies them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from broker_core.adapter import Verb
from fair_kafka.ledger import commands as c
from fair_kafka.ledger import outcomes as o
from fair_kafka.ledger.codec import encode, join
from fair_kafka.ledger.dedup import dedup_key
from fair_kafka.ledger.receipts import held_of
from fair_kafka.ledger.state import Ledger

T = TypeVar("T")

START_MS = 1_700_000_000_000
A, B = 0xA1, 0xB2


class Driver:
    """Does what dispatchers do; `now_ms` passes only when told to. The sequences of a session rise by one."""

    def __init__(self, ledger: Ledger | None = None) -> None:
        self.ledger = ledger or Ledger()
        self.log: list[tuple[int, int, bytes]] = []
        self.now_ms = START_MS
        self.sequences: dict[int, int] = {}
        self.ends: dict[int, int] = {}  # of the partitions of messages

    def sequence(self, session: int = A) -> int:
        self.sequences[session] = self.sequences.get(session, 0) + 1
        return self.sequences[session]

    def append(self, *commands: c.Command) -> list[o.Answer]:
        record = (len(self.log), self.now_ms, join(map(encode, commands)))
        self.log.append(record)
        return self.ledger.apply_record(*record)

    def do(self, make: Callable[..., c.Command], *arguments: Any, session: int = A, **more: Any) -> o.Outcome:
        """Append one command and return its outcome, which has to come at once."""
        command = make(session, self.sequence(session), *arguments, **more)
        return outcome_of(self.append(command), command)

    def open(self, session: int = A, **settings: int) -> o.Opened:
        default = {
            "quantum": 10,
            "max_attempts": 3,
            "dedup_window_ms": 1000,
            "dead_letter_retention_ms": 1_000_000,
            "max_partitions": 100,
        }
        return expect(o.Opened, self.do(c.Open, session=session, **(default | settings)))

    def begin(self, partitions: int = 16, **settings: int) -> Driver:
        self.open(**settings)
        self.do(c.PartitionsAdded, partitions)
        return self

    def pass_time(self, ms: int) -> list[o.Answer]:
        self.now_ms += ms
        return self.append(c.Tick(A, self.sequence()))

    def place(self, customer: str) -> o.Place:
        assigned = expect(o.Assigned, self.do(c.AssignPartitions, (customer,)))
        assert assigned.places[0] is not None
        return assigned.places[0]

    def entry(
        self,
        customer: str,
        size: int = 1,
        cost: int = 1,
        keys: Sequence[str] = (),
        place: o.Place | None = None,
    ) -> c.PublishEntry:
        """Produce records and return the run that they are."""
        place = place or self.ledger.place_of(customer) or self.place(customer)
        base = self.ends.get(place.partition, 0)
        self.ends[place.partition] = base + size
        hashed = tuple(dedup_key(customer, key) for key in keys)
        return c.PublishEntry(customer, place.partition, place.epoch, base, size, cost, hashed)

    def publish(self, customer: str, size: int = 1, cost: int = 1, keys: Sequence[str] = ()) -> list[str]:
        published = expect(o.Published, self.do(c.Publish, (self.entry(customer, size, cost, keys),)))
        assert isinstance(published.entries[0], tuple)
        return list(published.entries[0])

    def receive(self, count: int = 100, lease_ms: int = 30_000, session: int = A) -> list[o.HandedOver]:
        return list(expect(o.Received, self.do(c.Receive, count, lease_ms, session=session)).messages)

    def settle(
        self, verb: Verb, messages: Sequence[o.HandedOver], delay_ms: int = 0, reason: str = ""
    ) -> list[str]:
        held = held_of(message.receipt for message in messages)
        return list(expect(o.Settled, self.do(c.Settle, verb, held, delay_ms, reason)).lost)

    def ack(self, messages: Sequence[o.HandedOver]) -> list[str]:
        return self.settle(Verb.ACK, messages)


def outcome_of(answers: Sequence[o.Answer], command: c.Command) -> o.Outcome:
    found = [answer.outcome for answer in answers if answer[:2] == (command.session, command.sequence)]
    assert len(found) == 1, f"{command} was answered by {found}"
    return found[0]


def expect(kind: type[T], outcome: object) -> T:
    assert isinstance(outcome, kind), outcome
    return outcome


def ids(messages: Sequence[o.HandedOver]) -> list[str]:
    return [message.id for message in messages]
