"""Limits how much each key asks for: a token bucket a key, shared by all processes of a service."""

from __future__ import annotations

import hashlib
import struct
from time import monotonic

from fair_dispatcher.http import problems
from fair_dispatcher.http.problems import Problem
from fair_dispatcher.http.shared_table import KEY_BYTES, Known, SharedTable
from fair_dispatcher.keys.model import Key

# What is left, and when that was so.
_VALUE = struct.Struct("<dd")
_LONGEST_RETRY_SECONDS = 60.0
_ROUNDING = 1e-6

VALUE_BYTES = _VALUE.size


class Rates:
    """Counts requests and published messages of each key; None as rate: as many as come."""

    def __init__(self, table: SharedTable, rate: float | None, burst_seconds: float) -> None:
        self._table = table
        self._rate = rate
        self._burst_seconds = burst_seconds

    def use(self, key: Key | None, amount: int = 1) -> None:
        """Count it. Raises Problem with the time to wait if the key is used up, and counts nothing then.

        An amount larger than what is left is let through once and makes the key wait for longer.
        """
        rate = self._rate if key is None or key.rate is None else key.rate
        if rate is None:
            return
        now = monotonic()
        most = max(1.0, rate * self._burst_seconds)
        wait_seconds: list[float] = []

        def count(known: Known | None) -> Known | None:
            left, at = (most, now) if known is None else _VALUE.unpack(known[0])
            left = min(most, left + (now - at) * rate)
            if left < 1 - _ROUNDING:
                wait_seconds.append((1 - left) / rate)
                return None
            left -= amount
            # A bucket that is full again is as one that was never used.
            return _VALUE.pack(left, now), now + (most - left) / rate

        self._table.update(_name(key), now, count)
        if wait_seconds:
            raise Problem(
                problems.RATE_LIMITED,
                f"{rate:g} a second are allowed",
                retry_after=min(wait_seconds[0], _LONGEST_RETRY_SECONDS),
            )


def _name(key: Key | None) -> bytes:
    return hashlib.blake2b(b"" if key is None else key.id.encode(), digest_size=KEY_BYTES).digest()
