"""Receives that wait in the ledger until something is ready for them."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from fair_kafka.ledger.commands import Receive


class Waiter(NamedTuple):
    """A Receive, and when it is answered with nothing."""

    receive: Receive
    deadline_ms: int


class Waiters:
    """Waiting receives, the one that came first is served first."""

    def __init__(self) -> None:
        self._waiters: OrderedDict[tuple[int, int], Waiter] = OrderedDict()
        self._no_deadline_before: float = math.inf

    def __len__(self) -> int:
        return len(self._waiters)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self._waiters.values())

    def add(self, receive: Receive, deadline_ms: int) -> None:
        """Let a receive wait, behind the others."""
        self._waiters[receive.session, receive.sequence] = Waiter(receive, deadline_ms)
        self._no_deadline_before = min(self._no_deadline_before, deadline_ms)

    def first(self) -> Waiter:
        """Return the one to be served next; there has to be one."""
        return next(iter(self._waiters.values()))

    def remove(self, session: int, sequence: int) -> bool:
        """Take a receive off; tell whether it was waiting."""
        return self._waiters.pop((session, sequence), None) is not None

    def remove_session(self, session: int) -> None:
        """Take off all receives of a session."""
        for key in [key for key in self._waiters if key[0] == session]:
            del self._waiters[key]

    def pop_overdue(self, now_ms: int) -> list[Waiter]:
        """Take off those whose wait is over."""
        if self._no_deadline_before > now_ms:
            return []
        overdue = [waiter for waiter in self._waiters.values() if waiter.deadline_ms <= now_ms]
        for waiter in overdue:
            self.remove(waiter.receive.session, waiter.receive.sequence)
        self._no_deadline_before = self.next_deadline()
        return overdue

    def next_deadline(self) -> float:
        """Tell the earliest end of a wait, infinity if nobody waits."""
        return min((waiter.deadline_ms for waiter in self._waiters.values()), default=math.inf)
