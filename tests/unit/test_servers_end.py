"""Containers of a run are gone when its process is, however it went: the reaper before a recorded engine."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from urllib.parse import unquote

import pytest

from broker_core.conformance.polling import Deadline

_SESSION = "a-session"
_RUN = f"""
import sys
from tests.servers import reaper
reaper.watch("{_SESSION}")
print("watching", flush=True)
sys.stdin.read()
"""


class Engine(ThreadingUnixStreamServer):
    """Answers as a Docker engine with one container does, and remembers what was asked."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), Answers)
        self.asked: list[str] = []


class Answers(BaseHTTPRequestHandler):
    server: Engine

    def do_GET(self) -> None:
        self.server.asked.append(f"GET {unquote(self.path)}")
        path = self.path.partition("?")[0]
        if path.endswith("/containers/json"):
            self._answer([{"Id": "one"}])
        elif path.endswith("/containers/one/json"):
            self._answer({"Id": "one"})
        else:
            self._answer({"ApiVersion": "1.44"})

    def do_DELETE(self) -> None:
        self.server.asked.append(f"DELETE {self.path}")
        self._answer({})

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base class
        """Keep quiet."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path / "docker.sock") as engine:
        thread = threading.Thread(target=engine.serve_forever)
        thread.start()
        yield engine
        engine.shutdown()
        thread.join()


def removed(engine: Engine) -> bool:
    return any(asked.startswith("DELETE") and "/containers/one?" in asked for asked in engine.asked)


@pytest.mark.parametrize("killed", [False, True], ids=["ended", "killed"])
async def test_containers_go_with_the_run(
    engine: Engine, tmp_path: Path, deadline: Deadline, killed: bool
) -> None:
    with a_run(tmp_path) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"watching\n"
        assert not removed(engine)
        if killed:
            run.kill()
        else:
            run.communicate()
    await deadline.until(lambda: removed(engine), "the removal of the container")
    (listed,) = (asked for asked in engine.asked if "/containers/json" in asked)
    assert f"org.testcontainers.session-id={_SESSION}" in listed
    (deleted,) = (asked for asked in engine.asked if asked.startswith("DELETE"))
    assert "force=True" in deleted


def a_run(tmp_path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _RUN],
        cwd=Path(__file__).parents[2],
        env={"DOCKER_HOST": f"unix://{tmp_path}/docker.sock", "HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
