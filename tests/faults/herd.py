"""Processes under test: started, replaced when they die, suspended, told to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Self

from broker_core.conformance.polling import Deadline
from tests.faults.process import HOPELESS, KILLED_BY_A_MESSAGE, Task

_START_SECONDS = 30.0
_STOP_SECONDS = 30.0
_PAUSE_SECONDS = 0.2
_EXPECTED_ENDS = {0, HOPELESS, KILLED_BY_A_MESSAGE, -signal.SIGKILL, -signal.SIGTERM}


class Child:
    """One running `tests.faults.process`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, task: Task, *, until_ready: bool = True) -> Self:
        """Start it; by default return when it is connected."""
        with (Path(task.folder) / "errors").open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.faults.process", task.to_json()),
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONASYNCIODEBUG": "0"},
            )
        child = cls(process)
        if until_ready:
            assert process.stdout is not None
            async with asyncio.timeout(_START_SECONDS):
                assert await process.stdout.readline() == b"ready\n", "a process that did not start"
        return child

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def suspend(self) -> None:
        """Let it hang."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.send(signal.SIGCONT)

    def ask_to_end(self) -> None:
        """SIGTERM; `ended` waits for the end."""
        self.send(signal.SIGTERM)

    async def ended(self) -> int:
        """Wait for its end and return the exit code, negative for a signal."""
        async with asyncio.timeout(_STOP_SECONDS):
            return await self._process.wait()

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone. Idempotent."""
        self.send(signal.SIGKILL)
        await self.ended()


class Herd:
    """Keeps one process alive for each task, as a supervisor would; each replacement has its own name."""

    def __init__(self, tasks: list[Task]) -> None:
        self._tasks = tasks
        self._children: dict[int, Child] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self.ends: list[int] = []

    async def __aenter__(self) -> Self:
        self._keepers = [asyncio.create_task(self._keep(place)) for place in range(len(self._tasks))]
        await Deadline(_START_SECONDS).until(
            lambda: len(self._children) == len(self._tasks) or self._has_failed(), "all processes"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _has_failed(self) -> bool:
        return any(keeper.done() for keeper in self._keepers)

    async def _keep(self, place: int) -> None:
        generation = 0
        while True:
            task = self._tasks[place]
            child = await Child.start(
                replace(task, actor=f"{task.actor}.{generation}", seed=task.seed + 1000 * generation),
                until_ready=False,
            )
            self._children[place] = child
            generation += 1
            end = await asyncio.shield(child._process.wait())
            self.ends.append(end)
            assert end in _EXPECTED_ENDS, f"a process ended with {end}: see its errors"
            await asyncio.sleep(_PAUSE_SECONDS)

    @property
    def running(self) -> list[Child]:
        """The processes that run now, in a fixed order."""
        return [child for _, child in sorted(self._children.items()) if child.is_running]

    async def stop(self) -> None:
        """Tell all to end, gracefully, and wait for it; raise what went wrong. Idempotent."""
        keepers, self._keepers = self._keepers, []
        failed = [error for it in keepers if it.done() and (error := it.exception()) is not None]
        for keeper in keepers:
            keeper.cancel()
        if keepers:
            await asyncio.wait(keepers)
        for child in self._children.values():
            child.resume()
            child.ask_to_end()
        try:
            for child in self._children.values():
                end = await child.ended()
                assert end in _EXPECTED_ENDS, f"a process ended with {end}: see its errors"
        finally:
            for child in self._children.values():
                await child.kill()
        if failed:
            raise failed[0]
