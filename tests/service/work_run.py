"""A running `fairdispatch work` for tests: its log as it comes, its processes, its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker_core import FairDispatcher, open_dispatcher
from broker_core.conformance.polling import Deadline
from tests.service.command_line import PROGRAM, plain_environment

HANDLERS = Path(__file__).parent
_LOG_SECONDS = 10.0

Line = dict[str, Any]


class WorkRun:
    """A supervisor with its processes.

    lines: of the log; texts: what else was on the standard error; other_pids: to be killed too if need be.
    """

    def __init__(self, process: subprocess.Popen[str], records: Path) -> None:
        self.process = process
        self.lines: list[Line] = []
        self.texts: list[str] = []
        self.other_pids: list[int] = []
        self._records = records
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def records(self, what: str = "handled") -> list[Line]:
        """What handlers wrote down so far."""
        if not self._records.exists():
            return []
        text = self._records.read_text()
        found = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        return [line for line in found if line["what"] == what]

    def events(self, event: str) -> list[Line]:
        """The lines of the log whose event begins so."""
        return [line for line in list(self.lines) if line["event"].startswith(event)]

    def ready_pids(self) -> list[int]:
        """The processes that have got ready, in that order."""
        return [line["pid"] for line in self.events("worker process ready")]

    async def until_ready(self, count: int, deadline: Deadline) -> list[int]:
        """Wait until so many processes have got ready, and return all that have."""
        await deadline.until(
            lambda: len(self.ready_pids()) >= count or self.process.poll() is not None,
            f"{count} processes that are ready",
        )
        assert self.process.poll() is None, (self.texts, self.lines)
        return self.ready_pids()

    async def until_noted(self, count: int, deadline: Deadline, what: str = "handled") -> list[Line]:
        """Wait for so many records of handlers, and return all there are."""
        await deadline.until(lambda: len(self.records(what)) >= count, f"{count} messages {what}")
        return self.records(what)

    async def until_logged(self, event: str, deadline: Deadline, count: int = 1) -> list[Line]:
        """Wait for so many lines whose event begins so, and return all there are."""
        await deadline.until(lambda: len(self.events(event)) >= count, f"{event!r} in the log")
        return self.events(event)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor."""
        self.process.send_signal(number)

    async def ended(self, deadline: Deadline) -> int:
        """Wait until the supervisor has ended, and return its exit code."""
        await deadline.until(lambda: self.process.poll() is not None, "the end of the supervisor")
        self._reading.join(deadline.remaining)
        assert self.process.returncode is not None
        return self.process.returncode

    def end(self) -> None:
        """Kill the supervisor, and expect all its processes to end by that."""
        self.process.kill()
        self.process.wait()
        self._reading.join(_LOG_SECONDS)
        if left := self._reading.is_alive():  # the log ends when nobody can write to it any more
            for pid in {*self.ready_pids(), *self.other_pids}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._reading.join(_LOG_SECONDS)
        assert not left, "processes were left"

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as log:
            for text in log:
                try:
                    self.lines.append(json.loads(text))
                except ValueError:
                    self.texts.append(text.rstrip("\n"))


@dataclass(frozen=True)
class Workplace:
    """A namespace for worker processes. records: where handlers write down what they do."""

    url: str
    namespace: str
    records: Path

    def dispatcher(self) -> FairDispatcher:
        """Make a dispatcher of this namespace, to be opened."""
        return open_dispatcher("redis", self.url, namespace=self.namespace)

    @contextlib.contextmanager
    def working(
        self,
        handler: str,
        *options: str,
        folder: Path = HANDLERS,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = PROGRAM,
    ) -> Iterator[WorkRun]:
        """Start `fairdispatch work` in that folder; what is left of it at the end is killed."""
        own = {"BROKER": "redis", "REDIS_URL": self.url, "RECORD_FILE": str(self.records)}
        # A file that changes within a second keeps its compiled form otherwise.
        own["PYTHONDONTWRITEBYTECODE"] = "1"
        process = subprocess.Popen(
            [*program, "work", "--handler", handler, "--namespace", self.namespace, *options],
            env=plain_environment() | own | dict(environment or {}),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        run = WorkRun(process, self.records)
        try:
            yield run
        finally:
            run.end()
