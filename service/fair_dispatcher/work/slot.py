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
        self._failures = 0

    async def keep(self) -> None:
        """Go on until cancelled, which leaves the process alone.

        Raises ConfigurationError, or BrokerUnavailable that isn't retryable, when the process can't work,
        and no other process does.
        """
        child = await self._start()
        while True:
            if not await self._ends(child):
                child = await self._swap(child)
                continue
            if child.ready_seconds >= _HEALTHY_SECONDS:
                self._failures = 0
            if child.failure is not None:
                if not self._crew.at_work:
                    raise child.failure
                _log.error("worker process can't work", process=self._number, reason=str(child.failure))
            await self._pause()
            child = await self._start()

    async def roll(self) -> bool:
        """Have a new process take over; False if it doesn't get ready, and the old one stays."""
        self._rolled = asyncio.get_running_loop().create_future()
        self._roll_wanted.set()
        return await self._rolled

    async def _start(self) -> Child:
        """Start a process, as soon as the machine lets us."""
        while True:
            try:
                return await self._crew.start(self._number)
            except OSError as error:
                _log.error("worker process can't be started", process=self._number, reason=str(error))
            await self._pause()

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

    async def _pause(self) -> None:
        self._failures += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_seconds(self._failures, is_last=not self._crew.staffed)):
                await self._roll_wanted.wait()
                self._roll_wanted.clear()
                self._conclude_roll(True)  # whatever starts now is new

    async def _swap(self, old: Child) -> Child:
        """Start another process, and retire the old one once that is ready; return the one that stays."""
        self._roll_wanted.clear()
        try:
            new = await self._crew.start(self._number)
        except OSError as error:
            self._call_off_roll(str(error))
            return old
        ready = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_SECONDS):
                ready = await new.becomes_ready()
        if not ready:
            self._call_off_roll("it doesn't get ready" if new.failure is None else str(new.failure))
            new.kill()
            return old
        self._crew.retire(old).add_done_callback(lambda _: self._conclude_roll(True))
        return new

    def _call_off_roll(self, reason: str) -> None:
        _log.error("the new worker process can't take over", process=self._number, reason=reason)
        self._conclude_roll(False)

    def _conclude_roll(self, done: bool) -> None:
        if self._rolled is not None and not self._rolled.done():
            self._rolled.set_result(done)
