"""Lets time pass in the ledger while somebody here waits: leases and delays end by a command only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fair_kafka.clock import LedgerClock
from fair_kafka.replica import Replica

# Who has waited for the longest time lets time pass; the others only if it doesn't.
GRACE_SECONDS = 0.15
SHORTEST_SECONDS = 0.001


class Ticker:
    """Calls `tick` when something is due in the ledger, but only while receives wait here."""

    def __init__(self, clock: LedgerClock, tick: Callable[[], None]) -> None:
        self._clock = clock
        self._tick = tick
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._replica: Replica | None = None

    def watch(self, replica: Replica) -> None:
        """Watch this state."""
        self._replica = replica

    def waiting(self, change: int) -> None:
        """Note that a receive begins (1) or ends (-1) to wait."""
        self._waiting += change
        self.plan()

    def plan(self) -> None:
        """Set the timer anew; to be called whenever the state has changed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting or self._replica is None:
            return
        ledger = self._replica.ledger
        due_ms = ledger.next_due_ms()
        if due_ms is None:
            return
        seconds = max(self._clock.seconds_until(due_ms), 0.0) + SHORTEST_SECONDS
        if len(ledger.waiters) and ledger.waiters.first().receive.session != ledger.listener:
            seconds += GRACE_SECONDS
        self._timer = asyncio.get_running_loop().call_later(seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        self._tick()
        # Once more after a while if that didn't get through; what is applied plans anew.
        self._timer = asyncio.get_running_loop().call_later(GRACE_SECONDS, self.plan)

    def close(self) -> None:
        """Stop. Idempotent."""
        self._waiting = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
