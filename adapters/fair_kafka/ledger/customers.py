"""Where the messages of one customer are."""

from __future__ import annotations

import heapq

from broker_core.model import Backlog
from fair_kafka.ledger.entries import Entry, State
from fair_kafka.ledger.fresh import FreshRuns


class Customer:
    """All messages of one customer: first those handed over before, by serial; then the others, as published.

    counts: messages by state. returned: a heap of serials. fresh: those behind.
    """

    __slots__ = ("counts", "fresh", "name", "returned")

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts = [0, 0, 0, 0]
        self.fresh = FreshRuns()
        self.returned: list[int] = []

    def give_back(self, entry: Entry) -> None:
        """Make an entry ready that was handed over before: ahead of the others, in the order of serials."""
        self.move(entry, State.READY)
        heapq.heappush(self.returned, entry.serial)

    def append(self, entry: Entry) -> None:
        """Make an entry ready at the tail."""
        self.move(entry, State.READY)
        self.fresh.push_entry(entry.serial, entry.cost)

    def move(self, entry: Entry, state: State) -> None:
        """Note the state that an entry is in from now on."""
        counts = self.counts
        counts[entry.state] -= 1
        counts[state] += 1
        entry.state = state

    def is_empty(self) -> bool:
        """Tell whether it has no message in any state."""
        return not any(self.counts)

    def backlog(self) -> Backlog:
        """Count the messages by state."""
        ready, leased, delayed, dead = self.counts
        return Backlog(ready=ready, leased=leased, delayed=delayed, dead=dead)
