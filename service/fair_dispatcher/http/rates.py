"""Limits how much each key asks for: a token bucket a key, in this process."""

from __future__ import annotations

from time import monotonic

from fair_dispatcher.http import problems
from fair_dispatcher.http.problems import Problem
from fair_dispatcher.keys.model import Key

_LONGEST_RETRY_SECONDS = 60.0
_ROUNDING = 1e-6


class Rates:
    """Counts requests and published messages of each key; None as rate: as many as come."""

    def __init__(self, rate: float | None, burst_seconds: float) -> None:
        self._rate = rate
        self._burst_seconds = burst_seconds
        # Of each key: what is left, and when that was so.
        self._left: dict[str, tuple[float, float]] = {}

    def use(self, key: Key | None, amount: int = 1) -> None:
        """Count it. Raises Problem with the time to wait if the key is used up, and counts nothing then.

        An amount larger than what is left is let through once and makes the key wait for longer.
        """
        rate = self._rate if key is None or key.rate is None else key.rate
        if rate is None:
            return
        id_ = "" if key is None else key.id
        now = monotonic()
        most = max(1.0, rate * self._burst_seconds)
        left, at = self._left.get(id_, (most, now))
        left = min(most, left + (now - at) * rate)
        if left < 1 - _ROUNDING:
            wait_seconds = min((1 - left) / rate, _LONGEST_RETRY_SECONDS)
            raise Problem(problems.RATE_LIMITED, f"{rate:g} a second are allowed", retry_after=wait_seconds)
        self._left[id_] = left - amount, now
