"""Books what arrives and what is handed over, and counts what was lost, doubled, waited and shared."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fair_dispatcher.demo.handover import HandOver
from fair_dispatcher.demo.scenario import Event

_RECENT = 2000


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds between a message's arrival and the start of its handler; all 0 where there is none."""

    p50: float = 0.0
    p99: float = 0.0
    longest: float = 0.0

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Waits:
        """Take the nearest ranks."""
        ranked = sorted(seconds)
        if not ranked:
            return cls()
        last = len(ranked) - 1
        return cls(ranked[round(last * 0.5)], ranked[round(last * 0.99)], ranked[-1])


def jain_index(shares: Sequence[float]) -> float:
    """Return (Σx)²/(n·Σx²): 1 when all shares are equal, 1/n when one has all, 1 for none at all.

    Jain, Chiu, Hawe: A Quantitative Measure of Fairness and Discrimination (1984).
    """
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0


@dataclass(frozen=True, slots=True)
class CustomerWaits:
    """The waits in seconds of one customer's messages that were handed over, in order of arrival."""

    customer: str
    flooder: bool
    waits: Sequence[float]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a run stands at a moment. The waits are those of the last 2,000 hand-overs of each group."""

    seconds: float
    total: int
    arrived: int
    handed_over: int
    customers_waiting: int
    quiet: Waits
    flooder: Waits


class Ledger:
    """The books of one run over `events`, whose indices are their places.

    A message is booked by its index, so that one that is lost or handed over twice is known by name.
    """

    def __init__(
        self, run: str, events: Sequence[Event], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.run = run
        self._events = events
        self._clock = clock
        self._begin = clock()
        self._end = self._begin
        self._arrived = 0
        self._times: list[int] = [0] * len(events)
        self._handed_over: dict[int, float] = {}  # index → seconds since the beginning
        self._recent: dict[bool, deque[float]] = {group: deque(maxlen=_RECENT) for group in (False, True)}
        self._waiting: Counter[str] = Counter()
        self.foreign = 0
        self.complete = asyncio.Event()

    def start_clock(self) -> None:
        """Let the run begin now instead of when this was made."""
        self._begin = self._end = self._clock()

    def now(self) -> float:
        """Return the seconds since the run began, which due times are compared with."""
        return self._clock() - self._begin

    def arrive(self, events: Iterable[Event]) -> None:
        """Book messages as arrived; to be called before they are published."""
        for event in events:
            self._arrived += 1
            self._waiting[event.customer] += 1

    def hand_over(self, told: HandOver) -> None:
        """Book the start of a message's handler. Consumers may tell of theirs a moment later than others."""
        if told.run != self.run:
            self.foreign += 1
            return
        event = self._events[told.place]
        self._times[told.place] += 1
        if self._times[told.place] > 1:
            return
        self._end = max(self._end, told.at)
        self._handed_over[told.place] = at = told.at - self._begin
        self._recent[event.flooder].append(at - event.due)
        self._waiting[event.customer] -= 1
        if not self._waiting[event.customer]:
            del self._waiting[event.customer]
        if len(self._handed_over) == len(self._events):
            self.complete.set()

    @property
    def handed_over(self) -> int:
        """Messages that were handed over, each counted once."""
        return len(self._handed_over)

    @property
    def lost(self) -> int:
        """Messages that arrived at no handler so far."""
        return self._times.count(0)

    @property
    def duplicated(self) -> int:
        """Hand-overs beyond the first of each message."""
        return sum(times - 1 for times in self._times if times > 1)

    @property
    def seconds(self) -> float:
        """From the beginning to the last first hand-over."""
        return self._end - self._begin

    def waits(self, *, flooder: bool) -> Waits:
        """Return the waits of the flooder, or of all others."""
        return Waits.of(
            at - self._events[index].due
            for index, at in self._handed_over.items()
            if self._events[index].flooder is flooder
        )

    def waits_by_customer(self) -> list[CustomerWaits]:
        """Return the waits of each customer."""
        waits: dict[tuple[str, bool], list[float]] = {}
        for event in self._events:
            if (at := self._handed_over.get(event.index)) is not None:
                waits.setdefault((event.customer, event.flooder), []).append(at - event.due)
        return [CustomerWaits(customer, flooder, found) for (customer, flooder), found in waits.items()]

    def shares_of_first_half(self) -> list[float]:
        """Return the cost handed over to each customer within the first half of all hand-overs."""
        shares = dict.fromkeys((event.customer for event in self._events), 0.0)
        in_order = sorted(self._handed_over, key=self._handed_over.__getitem__)
        for index in in_order[: len(self._events) // 2]:
            shares[self._events[index].customer] += self._events[index].arrival.cost
        return list(shares.values())

    def snapshot(self) -> Snapshot:
        """Tell how the run stands."""
        return Snapshot(
            seconds=self.now(),
            total=len(self._events),
            arrived=self._arrived,
            handed_over=self.handed_over,
            customers_waiting=len(self._waiting),
            quiet=Waits.of(self._recent[False]),
            flooder=Waits.of(self._recent[True]),
        )
