"""Receives that wait, without polling, until there may be something for them."""

from __future__ import annotations

import asyncio
import math


class Waiters:
    """Lets tasks of one event loop sleep until they are woken; the longest waiting wakes first."""

    def __init__(self) -> None:
        self._sleepers: dict[asyncio.Future[None], float] = {}

    def __len__(self) -> int:
        return len(self._sleepers)

    async def sleep(self, seconds: float, wakes_at: float) -> None:
        """Return when woken, after `seconds` at the latest.

        wakes_at: when that is on the broker's clock; `wake` goes by it.
        """
        loop = asyncio.get_running_loop()
        sleeper: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _resolve, sleeper)
        self._sleepers[sleeper] = wakes_at
        try:
            await sleeper
        finally:
            timer.cancel()
            self._sleepers.pop(sleeper, None)

    def wake(self, due: float = -math.inf) -> None:
        """Wake those who would sleep beyond `due` on the broker's clock; all of them by default."""
        for sleeper, wakes_at in self._sleepers.items():
            if wakes_at > due:
                _resolve(sleeper)


def _resolve(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
