"""All worker processes of a run: each is known from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from fair_dispatcher.work.child import Child
from fair_dispatcher.work.options import RunOptions

# A Worker needs more than its grace to end: it cancels handlers, gives back, disconnects.
_BEYOND_GRACE_SECONDS = 10.0
_AT_ONCE_SECONDS = 3.0
_KILL_SECONDS = 5.0

_log = structlog.stdlib.get_logger(__name__)


class Crew:
    """Starts worker processes and ends them; none is left when `end` has returned."""

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self._patience_seconds = options.grace_seconds + _BEYOND_GRACE_SECONDS
        self._alive: set[Child] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, number: int) -> Child:
        """Start the process with this number; it isn't ready yet."""
        child = await Child.start(number, self._options)
        self._alive.add(child)
        self._own(self._forget(child))
        return child

    def retire(self, child: Child) -> asyncio.Task[None]:
        """Let the process end gracefully, and kill it if it doesn't; done when it is gone."""
        _log.info("worker process retires", process=child.number, pid=child.pid)
        return self._own(self._retire(child))

    @property
    def at_work(self) -> bool:
        """Whether any process takes messages."""
        return any(child.is_ready and not child.retired for child in self._alive)

    @property
    def staffed(self) -> bool:
        """Whether any process takes messages, or is about to."""
        return any(child.is_alive and not child.retired for child in self._alive)

    async def end(self, at_once: asyncio.Event) -> bool:
        """End all processes gracefully, or at once when that is set; return whether all were graceful."""
        staff = list(self._alive)
        for child in staff:
            child.drain()
        urgent = asyncio.ensure_future(at_once.wait())
        try:
            if await self._all_gone(self._patience_seconds, urgent):
                return all([await child.was_graceful() for child in staff])
        finally:
            urgent.cancel()
        if at_once.is_set():
            for child in self._alive:
                child.end_now()
            await self._all_gone(_AT_ONCE_SECONDS)
        for child in self._alive:
            _kill(child)
        await self._all_gone(_KILL_SECONDS)
        return False

    async def _all_gone(self, seconds: float, urgent: asyncio.Future[Any] | None = None) -> bool:
        """Wait until all are gone, `seconds` at most, or until it gets urgent."""
        gone = asyncio.gather(*(child.ended() for child in self._alive))
        waits: set[asyncio.Future[Any]] = {gone} if urgent is None else {gone, urgent}
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            return True
        gone.cancel()
        return False

    async def _retire(self, child: Child) -> None:
        child.drain()
        try:
            async with asyncio.timeout(self._patience_seconds):
                await child.ended()
        except TimeoutError:
            _kill(child)
            await child.ended()

    async def _forget(self, child: Child) -> None:
        await child.ended()
        self._alive.discard(child)

    def _own(self, coroutine: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _kill(child: Child) -> None:
    _log.warning("worker process doesn't end and is killed", process=child.number, pid=child.pid)
    child.kill()
