"""Servers as child processes on free loopback ports, with folders of their own."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_START_ATTEMPTS = 3
# To Linux the parent of a process is the thread that started it, so this one lives as long as the tests.
_parent = ThreadPoolExecutor(1, "parent-of-servers")


class ChildServer(ABC):
    """A child process that dies with the tests, however they end; its folder goes with it.

    Subclasses choose their ports in `prepare`, which is called again if one was taken meanwhile.
    """

    restartable = True
    host = "127.0.0.1"
    start_seconds = 60.0

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fair-dispatcher-server-"))
        self.port = 0
        self.version = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self.folder / "output.log"

    @abstractmethod
    def prepare(self) -> None:
        """Choose free ports and write the configuration."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the program and its arguments; it stays in the foreground."""

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """Return the whole environment of the program."""

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether it serves requests now."""

    @abstractmethod
    def reported_version(self) -> str:
        """Return name and version as the running server tells them."""

    @property
    def pid(self) -> int:
        """The process's id while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start on free ports and wait until it serves; RuntimeError with its last output if it doesn't."""
        atexit.register(self.stop)
        for _ in range(_START_ATTEMPTS):
            self.prepare()
            self.launch()
            if self._wait_until_it_answers():
                self.version = self.reported_version()
                return
            self.kill()
        raise RuntimeError(f"{type(self).__name__} did not start:\n{self.output()[-3000:]}")

    def launch(self) -> None:
        assert self._process is None
        self._process = spawn(self.command(), self.environment(), self.folder, self._log)

    def output(self) -> str:
        """Return what it has printed so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def suspend(self) -> None:
        """Let it do nothing, as a machine that hangs does."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        self.kill()
        atexit.unregister(self.stop)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_until_it_answers(self) -> bool:
        assert self._process is not None
        end = time.monotonic() + self.start_seconds
        while time.monotonic() < end and self._process.poll() is None:
            if self.answers():
                return True
            time.sleep(0.02)
        return False


def spawn(
    command: Sequence[str | Path], environment: Mapping[str, str], folder: Path, log: Path
) -> subprocess.Popen[bytes]:
    """Start a program that Linux ends with its parent, even if that is killed; `log` gets its output."""
    setpriv = shutil.which("setpriv")
    prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []

    def popen() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [*prefix, *command],
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    return _parent.submit(popen).result()


def free_ports(count: int) -> list[int]:
    """Return different ports of the loopback interface that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((ChildServer.host, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
