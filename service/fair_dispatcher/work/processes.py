"""Runs a handler that isn't async in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
from typing import Any

import structlog

from broker_core import Delivery, Reject, Retry
from fair_dispatcher.work import frames
from fair_dispatcher.work.options import Assignment, WorkOptions
from fair_dispatcher.work.spawning import Spawned, spawn

_MODULE = "fair_dispatcher.work.handler_process"
_END_SECONDS = 2.0

_log = structlog.stdlib.get_logger(__name__)


class HandlerProcessDied(Exception):
    """The process that ran the handler ended in the middle of it."""


class InProcesses:
    """A process for each handler that runs, started when it is needed and kept for the next.

    A process that dies fails the one message it had, and another takes its place. One whose message is no
    longer ours is killed.
    """

    busy = False

    def __init__(self, assignment: Assignment[WorkOptions]) -> None:
        self._assignment = assignment
        self._idle: list[Spawned] = []

    async def handle(self, delivery: Delivery) -> None:
        """Run the function for one delivery."""
        spawned = await self._take()
        try:
            outcome = await _ask(spawned, pickle.dumps(delivery))
        except BaseException:
            await _end(spawned)
            raise
        if outcome is None:
            code = await _end(spawned)
            raise HandlerProcessDied(f"the process {spawned.process.pid} of the handler ended with {code}")
        self._idle.append(spawned)
        _conclude(outcome)

    async def close(self) -> None:
        """End the processes; none of them is at work any more."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(_end(spawned) for spawned in idle))

    async def _take(self) -> Spawned:
        while self._idle:
            spawned = self._idle.pop()
            if spawned.process.returncode is None and not spawned.reader.at_eof():
                return spawned
            await _end(spawned)
        return await spawn(_MODULE, self._assignment.number, self._assignment.options)


async def _ask(spawned: Spawned, pickled: bytes) -> dict[str, Any] | None:
    """Return the outcome of the delivery, None if the process dies instead of telling it."""
    try:
        spawned.writer.write(frames.pack(pickled))
        await spawned.writer.drain()
    except ConnectionError:
        return None
    answer = await frames.read_async(spawned.reader)
    return None if answer is None else json.loads(answer)


async def _end(spawned: Spawned) -> int | None:
    spawned.writer.close()
    with contextlib.suppress(ProcessLookupError):
        spawned.process.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            return await spawned.process.wait()
    return None


def _conclude(outcome: dict[str, Any]) -> None:
    match outcome["outcome"]:
        case "retry":
            raise Retry(outcome["delay"], outcome["reason"])
        case "reject":
            raise Reject(outcome["reason"])
        case "failed":
            _log.warning("the handler failed", exception=outcome["traceback"])
            raise Retry(None, outcome["reason"])
