"""Holds a consumer that runs in a process of its own: what it told so far, and ways to end it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from broker_core.conformance.polling import Deadline

_LINE_LIMIT_BYTES = 64 << 20
_START_SECONDS = 20.0
_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ToldDelivery:
    """A delivery as the other process saw it."""

    id: str
    customer: str
    attempt: int
    lease_until: datetime


class WorkerHandle:
    """A running `broker_core.conformance.worker_process`.

    received, acked, finished: deliveries in the order in which the process told of them.
    peaks_bytes: the most memory that it had used, when it was ready and when it ended.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._events: set[str] = set()
        self.received: list[ToldDelivery] = []
        self.acked: list[ToldDelivery] = []
        self.finished: list[ToldDelivery] = []
        self.peaks_bytes: list[int] = []
        self._listening = asyncio.ensure_future(self._listen())

    @classmethod
    async def start(cls, task: str) -> Self:
        """Start a process with that JSON task and return when it is connected to the broker."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "broker_core.conformance.worker_process",
            task,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_LIMIT_BYTES,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        worker = cls(process)
        try:
            await Deadline(_START_SECONDS).until(
                lambda: "ready" in worker._events or worker._listening.done(),
                "a worker process that is ready",
            )
        except BaseException:
            await worker.kill()
            raise
        return worker

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def go(self) -> None:
        """Let a process that was started with `on_signal` begin."""
        self._process.send_signal(signal.SIGUSR1)

    def suspend(self) -> None:
        """Stop the process without ending it, as a machine that hangs does."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended process go on."""
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """SIGKILL, and wait until the process is gone. Idempotent."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self.ended()

    def ask_to_stop(self) -> None:
        """SIGTERM; `ended` waits for the end."""
        self._process.terminate()

    async def ended(self) -> int:
        """Wait until the process has ended by itself and return its exit code."""
        async with asyncio.timeout(_STOP_SECONDS):
            await self._listening
            return await self._process.wait()

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        places = {"received": self.received, "acked": self.acked, "finished": self.finished}
        while line := await self._process.stdout.readline():
            if not line.endswith(b"\n"):
                return  # killed in the middle of a word
            told = json.loads(line)
            self._events.add(told["event"])
            if "peak_bytes" in told:
                self.peaks_bytes.append(told["peak_bytes"])
            if told["event"] in places:
                places[told["event"]] += [
                    ToldDelivery(
                        one["id"],
                        one["customer"],
                        one["attempt"],
                        datetime.fromisoformat(one["lease_until"]),
                    )
                    for one in told["deliveries"]
                ]
