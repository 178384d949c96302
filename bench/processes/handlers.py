"""Handlers that `fairdispatch work` is measured with; each process counts what it handled.

It writes a file of its own in the folder that BENCH_COUNTS names, when it ends: how many messages, and the
seconds of processor time from the first to the last of them.
"""

from __future__ import annotations

import atexit
import os
import time
from pathlib import Path

from broker_core import Delivery

HEAVY_STEPS = 2_400

_handled = 0
_first_seconds = 0.0
_last_seconds = 0.0


def _count() -> None:
    global _handled, _first_seconds, _last_seconds
    _handled += 1
    if _handled == 1:
        _first_seconds = time.process_time()
    if _handled % 100 == 0:  # asking costs more than counting
        _last_seconds = time.process_time()


async def light(_: Delivery) -> None:
    """Do nothing but count."""
    _count()


async def heavy(_: Delivery) -> None:
    """Compute, in Python, about 50 µs on a core of its own."""
    _count()
    total = 0
    for number in range(HEAVY_STEPS):
        total += number


@atexit.register
def _write() -> None:
    cost = max(0.0, _last_seconds - _first_seconds)
    Path(os.environ["BENCH_COUNTS"], str(os.getpid())).write_text(f"{_handled} {cost}")
