"""The history of a run, sorted by message: what was tried with each and how that ended."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.faults.history import Event, Item, Kind


@dataclass(frozen=True, slots=True)
class Step:
    """One call for one message. `at` is infinite for a call whose end nobody told, which is UNKNOWN."""

    verb: str
    kind: Kind
    invoked_at: float
    at: float
    actor: str
    item: Item


@dataclass(slots=True)
class Life:
    """All steps of one message, in the order in which they ended."""

    key: str
    published: list[Step] = field(default_factory=list)
    received: list[Step] = field(default_factory=list)
    settled: list[Step] = field(default_factory=list)
    extended: list[Step] = field(default_factory=list)

    @property
    def is_confirmed(self) -> bool:
        return any(step.kind is Kind.OK for step in self.published)

    @property
    def may_be_stored(self) -> bool:
        return any(step.kind is not Kind.FAIL for step in self.published)

    def settlements(self, *verbs: str, kinds: Sequence[Kind] = (Kind.OK, Kind.UNKNOWN)) -> Iterator[Step]:
        """Find the steps that ended a lease, or may have."""
        return (step for step in self.settled if step.verb in verbs and step.kind in kinds)

    def in_broker_order(self) -> list[Step]:
        """Sort the hand-overs by the broker's clock; all leases are equally long at first."""
        return sorted(self.received, key=lambda step: step.item.lease_until)

    def lease_end(self, hand_over: Step) -> float:
        """Tell the latest end of that lease that its owner was promised."""
        ends = [
            step.item.lease_until
            for step in self.extended
            if step.kind is Kind.OK and step.item.receipt == hand_over.item.receipt
        ]
        return max([hand_over.item.lease_until, *ends])


def lives_of(events: Iterable[Event]) -> dict[str, Life]:
    """Sort a history by the keys of its messages."""
    lives: dict[str, Life] = {}
    for step in _steps(events):
        life = lives.setdefault(step.item.key, Life(step.item.key))
        places = {"publish": life.published, "receive": life.received, "extend": life.extended}
        places.get(step.verb, life.settled).append(step)
    return lives


def _steps(events: Iterable[Event]) -> Iterator[Step]:
    invokes: dict[str, Event] = {}
    open_items: dict[str, dict[tuple[str, str], Item]] = {}
    for event in events:
        if event.kind is Kind.INVOKE:
            invokes[event.call] = event
            open_items[event.call] = {(item.key, item.receipt): item for item in event.items}
            continue
        invoked_at = invokes[event.call].at
        for item in event.items:
            open_items[event.call].pop((item.key, item.receipt), None)
            yield Step(event.verb, event.kind, invoked_at, event.at, event.actor, item)
    for call, items in open_items.items():
        begun = invokes[call]
        for item in items.values():
            yield Step(begun.verb, Kind.UNKNOWN, begun.at, math.inf, begun.actor, item)
