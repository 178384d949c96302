"""Adds queues or partitions step by step, and measures after each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from bench.scale.model import (
    MOST_BYTES,
    STEPS,
    Growth,
    Limits,
    Step,
    disk_bytes,
    open_files,
    resident_bytes,
)
from tests.servers.child import ChildServer

# A server with more is restarted at the end alone: it may take so long that nothing can be added any more.
RESTARTED_UP_TO = 5_000
# Told after each step of what there is so far.
Progress = Callable[[Growth], None]


class Growable(Protocol):
    """What is made on one server."""

    @property
    def kind(self) -> str:
        """Its name."""

    @property
    def server(self) -> ChildServer:
        """The server, of its own."""

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What it raises when the server doesn't serve."""

    async def add(self, count: int, target: int, until: float) -> int:
        """Make more, until there are `target` or the time is over; return how many there are."""

    async def find(self, count: int) -> None:
        """Return when the server serves what was made; raise one of the failures if it doesn't now."""


async def grow(what: Growable, limits: Limits, tell: Progress) -> Growth:
    """Add as many as time and memory allow; tell after each step."""
    server = what.server
    server.start()
    growth = Growth(kind=what.kind, server=server.version, steps=(), ended="still growing")
    empty, count, left_seconds = resident_bytes(server.pid), 0, limits.seconds
    for target in (*(step for step in STEPS if step < limits.most), limits.most):
        start, before = time.monotonic(), count
        try:
            count = await what.add(count, target, start + left_seconds)
        except what.failures as error:
            return growth.ending(
                f"the server answered {error!r}; the end of its log: {server.output()[-300:]}"
            )
        seconds = time.monotonic() - start
        left_seconds -= seconds
        resident = resident_bytes(server.pid)
        step = Step(
            count=count,
            made_per_second=(count - before) / seconds,
            resident_bytes=resident,
            bytes_each=(resident - empty) / max(1, count),
            disk_bytes=disk_bytes(server.folder),
            open_files=open_files(server.pid),
            restart_seconds=None,
        )
        why = _why_it_ends(step, target, limits)
        if why is None and count > RESTARTED_UP_TO:
            growth = growth.with_step(step)
            tell(growth)
            continue
        tell(growth.with_step(step).ending("restarting"))
        step = await _restarted(what, step, limits.restart_seconds)
        growth = growth.with_step(step)
        tell(growth)
        if step.restart_seconds is None:
            slow = f"it did not serve within {limits.restart_seconds:g} s after a kill"
            return growth.ending(f"{why}; {slow}" if why else slow)
        if why is not None:
            return growth.ending(why)
    raise AssertionError("the last step ends it")


def _why_it_ends(step: Step, target: int, limits: Limits) -> str | None:
    if step.count < target:
        return f"the time was over: {limits.seconds:g} s"
    if step.resident_bytes > MOST_BYTES:
        return f"the memory was over: {MOST_BYTES / 2**30:g} GiB"
    return f"{limits.most:,} were wanted" if step.count == limits.most else None


async def _restarted(what: Growable, step: Step, most_seconds: float) -> Step:
    """Kill the server and start it; note how long it took, None if it took longer than that."""
    start = time.monotonic()
    what.server.kill()
    what.server.launch()
    try:
        async with asyncio.timeout(most_seconds):
            while True:
                try:
                    await what.find(step.count)
                except what.failures:
                    await asyncio.sleep(0.1)
                else:
                    return step.with_restart(time.monotonic() - start)
    except TimeoutError:
        return step
