"""How long to wait after a failure."""

from __future__ import annotations

import random
from collections.abc import Callable

_MOST_DOUBLINGS = 60


def backoff_seconds(
    attempt: int,
    *,
    base: float,
    cap: float,
    jitter: float,
    random_unit: Callable[[], float] = random.random,
) -> float:
    """Return base, doubled by each attempt after the first, varied by ± jitter, never more than cap.

    base, cap: seconds ≥ 0. jitter: 0 to 1, the part of the delay that is random, also at the cap, so that
    those who failed together don't come back together. random_unit gives numbers from 0 to 1.
    """
    longest_mean = cap / (1 + jitter)
    mean = min(longest_mean, base * 2 ** min(attempt - 1, _MOST_DOUBLINGS))
    return float(min(cap, mean * (1 + jitter * (2 * random_unit() - 1))))
