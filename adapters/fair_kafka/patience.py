"""Calls again what failed for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from broker_core.errors import BrokerUnavailable

T = TypeVar("T")

PAUSE_SECONDS = 0.05


async def patiently(call: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Return what the call returns; after retryable errors it is called again for so many seconds.

    For calls that may be repeated without harm.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    pause_seconds = PAUSE_SECONDS
    while True:
        try:
            return await call()
        except BrokerUnavailable as error:
            if not error.retryable or clock() + pause_seconds >= until:
                raise
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, 0.5)
