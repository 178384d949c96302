"""Messages as the broker keeps them, and where those of one customer are."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from broker_core.model import Backlog, Message


def copy_of(message: Message) -> Message:
    """Return a message that shares nothing changeable with this one."""
    return Message(message.customer, message.payload, dict(message.headers), message.id, message.cost)


class State(IntEnum):
    """Where a message is; it is in exactly one of these until it is gone."""

    READY = 0
    LEASED = 1
    DELAYED = 2
    DEAD = 3


@dataclass(slots=True, eq=False)
class Entry:
    """One stored message.

    serial: orders the entries of a broker as they were published; id: the same as text.
    attempts: hand-overs so far, the current one included. receipt: of the current lease, else "".
    death: orders dead letters. decodable: False for bytes that no dispatcher has written.
    """

    serial: int
    id: str
    message: Message
    published_at: datetime
    decodable: bool = True
    attempts: int = 0
    state: State = State.READY
    receipt: str = ""
    reason: str = ""
    died_at: float = 0.0
    death: int = 0


@dataclass(slots=True)
class Customer:
    """All messages of one customer: first those handed over before, by id; then the others, as published."""

    entries: dict[str, Entry] = field(default_factory=dict)
    _counts: list[int] = field(default_factory=lambda: [0] * len(State))
    _fresh: deque[Entry] = field(default_factory=deque)
    _returned: list[tuple[int, Entry]] = field(default_factory=list)

    def append(self, entry: Entry) -> None:
        """Make an entry ready at the tail, a new one or one that is redriven."""
        if entry.id in self.entries:
            self.move(entry, State.READY)
        else:
            self.entries[entry.id] = entry
            self._counts[State.READY] += 1
        self._fresh.append(entry)

    def give_back(self, entry: Entry) -> None:
        """Make an entry ready that was handed over before: ahead of the others, in the order of ids."""
        self.move(entry, State.READY)
        heapq.heappush(self._returned, (entry.serial, entry))

    def head(self) -> Entry | None:
        """Return the ready entry that is next."""
        if self._returned:
            return self._returned[0][1]
        return self._fresh[0] if self._fresh else None

    def take(self, state: State) -> Entry:
        """Take the head out of those that are ready, into another state."""
        entry = heapq.heappop(self._returned)[1] if self._returned else self._fresh.popleft()
        self.move(entry, state)
        return entry

    def move(self, entry: Entry, state: State) -> None:
        """Note the state that an entry is in from now on."""
        self._counts[entry.state] -= 1
        self._counts[state] += 1
        entry.state = state

    def remove(self, entry: Entry) -> None:
        """Forget an entry that isn't ready."""
        del self.entries[entry.id]
        self._counts[entry.state] -= 1

    def clear_ready(self) -> int:
        """Forget everything that is ready; return how much that was."""
        for entry in (*self._fresh, *(entry for _, entry in self._returned)):
            del self.entries[entry.id]
        self._fresh.clear()
        self._returned.clear()
        count, self._counts[State.READY] = self._counts[State.READY], 0
        return count

    def backlog(self) -> Backlog:
        """Count the entries by state."""
        ready, leased, delayed, dead = self._counts
        return Backlog(ready=ready, leased=leased, delayed=delayed, dead=dead)
