"""One deadline for each test, and waiting for a condition instead of for a time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

_TICK_SECONDS = 0.01


class Deadline:
    """The moment at which a test has failed by taking too long, by a monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self._end - time.monotonic())

    def check(self, waiting_for: str) -> None:
        """Raise AssertionError, saying what was waited for, when the time is up."""
        if time.monotonic() >= self._end:
            raise AssertionError(f"not within {self.seconds:g} s: {waiting_for}")

    async def until(self, condition: Callable[[], bool | Awaitable[bool]], waiting_for: str) -> None:
        """Return as soon as the condition, which may be a coroutine function, holds."""
        while True:
            answer = condition()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return
            self.check(waiting_for)
            await asyncio.sleep(_TICK_SECONDS)
