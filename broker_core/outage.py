"""Goes on when the broker is away: calls again, says so once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import count
from typing import TypeVar

from broker_core.backoff import backoff_seconds
from broker_core.errors import DispatcherError

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0


class Outage:
    """Tells the log once when the broker goes away and once when it is back, for all who use this object."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lasting = False

    def goes_on(self, error: DispatcherError) -> None:
        """Note that a call failed; raises the error if trying again can't help."""
        if not error.retryable:
            raise error
        if not self._lasting:
            self._lasting = True
            self._logger.warning("the broker does not answer, trying again: %s", error)

    def is_over(self) -> None:
        """Note that the broker has answered."""
        if self._lasting:
            self._lasting = False
            self._logger.warning("the broker answers again")

    async def outlast(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what the call returns; calls again after retryable errors, raises others."""
        for attempt in count(1):
            try:
                result = await call()
            except DispatcherError as error:
                self.goes_on(error)
            else:
                self.is_over()
                return result
            await asyncio.sleep(pause_seconds(attempt))
        raise AssertionError("unreachable")


def pause_seconds(attempt: int) -> float:
    """Return how long to wait before calling a broker again that didn't answer: 0.1 to 2 seconds."""
    return backoff_seconds(attempt, base=_FIRST_PAUSE_SECONDS, cap=_LONGEST_PAUSE_SECONDS, jitter=0.2)
