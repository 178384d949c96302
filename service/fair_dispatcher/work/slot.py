"""One place for a worker process, which is never left empty for long."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from broker_core.backoff import backoff_seconds
from fair_dispatcher.work.child import Child
from fair_dispatcher.work.crew import Crew

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 10.0
_LONGEST_PAUSE_OF_THE_LAST_SECONDS = 1.0
_HEALTHY_SECONDS = 60.0
_READY_SECONDS = 60.0

_log = structlog.stdlib.get_logger(__name__)


def pause_seconds(failures: int, *, is_last: bool) -> float:
    """Return how long to wait after a process ended by itself, for the failures-th time in a row.

    0.1 seconds, doubled by each further failure up to 10 seconds; up to 1 second if no other process is
    there, so that service doesn't stop for longer.
    """
    longest = _LONGEST_PAUSE_OF_THE_LAST_SECONDS if is_last else _LONGEST_PAUSE_SECONDS
    return backoff_seconds(failures, base=_FIRST_PAUSE_SECONDS, cap=longest, jitter=0.2)


class Slot:
    """Keeps one process running: replaces one that ends by itself, swaps it for a new one when told to.

    Before it replaces one it waits for pause_seconds; a process that was ready for a minute counts as the
    first failure.
    """

    def __init__(self, number: int, crew: Crew) -> None:
        self._number = number
        self._crew = crew
        self._roll_wanted = asyncio.Event()
        self._rolled: asyncio.Future[bool] | None = None

    async def keep(self) -> None:
        """Go on until cancelled, which leaves the process alone.

        Raises ConfigurationError, or BrokerUnavailable that isn't retryable, when the process can't work,
        and no other process does.
        """
        child = await self._crew.start(self._number)
        failures = 0
        while True:
            if not await self._ends(child):
                child = await self._swap(child)
                continue
            failures = 1 if child.ready_seconds >= _HEALTHY_SECONDS else failures + 1
            if child.failure is not None:
                if not self._crew.at_work:
                    raise child.failure
                _log.error("worker process can't work", process=self._number, reason=str(child.failure))
            await self._pause(failures)
            child = await self._crew.start(self._number)

    async def roll(self) -> bool:
        """Have a new process take over; False if it doesn't get ready, and the old one stays."""
        self._rolled = asyncio.get_running_loop().create_future()
        self._roll_wanted.set()
        return await self._rolled

    async def _ends(self, child: Child) -> bool:
        """Wait until the process ends, or until another is to take over: False."""
        ended = asyncio.ensure_future(child.ended())
        rolling = asyncio.ensure_future(self._roll_wanted.wait())
        try:
            await asyncio.wait({ended, rolling}, return_when=asyncio.FIRST_COMPLETED)
            return ended.done()
        finally:
            ended.cancel()
            rolling.cancel()

    async def _pause(self, failures: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_seconds(failures, is_last=not self._crew.staffed)):
                await self._roll_wanted.wait()
                self._conclude_roll(True)  # whatever starts now is new

    async def _swap(self, old: Child) -> Child:
        """Start another process, and retire the old one once that is ready; return the one that stays."""
        new = await self._crew.start(self._number)
        ready = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_SECONDS):
                ready = await new.becomes_ready()
        if not ready:
            reason = "it isn't ready in time" if new.failure is None else str(new.failure)
            _log.error("the new worker process can't take over", process=self._number, reason=reason)
            new.kill()
            self._conclude_roll(False)
            return old
        self._crew.retire(old).add_done_callback(lambda _: self._conclude_roll(True))
        self._roll_wanted.clear()
        return new

    def _conclude_roll(self, done: bool) -> None:
        self._roll_wanted.clear()
        if self._rolled is not None and not self._rolled.done():
            self._rolled.set_result(done)
