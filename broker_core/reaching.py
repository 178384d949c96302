"""Reaches a broker first of all: a few attempts, an end in time, an error that says what to check."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence

from broker_core.errors import BrokerUnavailable


async def reach(
    connect: Callable[[], Awaitable[object]],
    *,
    pauses_seconds: Sequence[float],
    timeout_seconds: float,
    advice: str,
) -> None:
    """Connect; after retryable errors again, after each of the pauses that end within timeout_seconds.

    connect: bounded by timeout_seconds itself. Raises BrokerUnavailable: one that isn't retryable as it is,
    the last other one with the advice behind its text.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + timeout_seconds
    for pause_seconds in (*pauses_seconds, math.inf):
        try:
            await connect()
        except BrokerUnavailable as error:
            if not error.retryable:
                raise
            if clock() + pause_seconds >= until:
                raise BrokerUnavailable(f"{error}: {advice}") from error
            await asyncio.sleep(pause_seconds)
        else:
            return
