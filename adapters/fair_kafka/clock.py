"""The ledger's clock, which is the broker's, as far as it is known here."""

from __future__ import annotations

import asyncio


class LedgerClock:
    """Estimates the broker's time from the time stamps of what it appended just now.

    The estimate is never ahead by more than clocks drift, and behind by the time that the answer took.
    """

    def __init__(self) -> None:
        self._ahead_ms = 0.0

    def note(self, timestamp_ms: int) -> None:
        """Note that the broker's time was this a moment ago."""
        self._ahead_ms = timestamp_ms - asyncio.get_running_loop().time() * 1000

    def seconds_until(self, time_ms: float) -> float:
        """Tell in how many seconds it will be that time; negative if it was."""
        return (time_ms - self._ahead_ms) / 1000 - asyncio.get_running_loop().time()
