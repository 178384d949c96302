"""Removes the containers of a test run when its process is gone, however it went.

A process of its own, `python -m tests.servers.reaper SESSION`, that waits for the end of its input.
"""

from __future__ import annotations

import atexit
import subprocess
import sys
from pathlib import Path

_LABEL = "org.testcontainers.session-id"
_REMOVE_SECONDS = 60
_watching: dict[str, subprocess.Popen[bytes]] = {}


def watch(session: str) -> None:
    """Have the containers with this label removed when this process ends; once is enough."""
    if session in _watching:
        return
    # A session of its own: what interrupts the tests mustn't interrupt the reaper.
    _watching[session] = subprocess.Popen(
        [sys.executable, "-m", __name__, session],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    atexit.register(close)


def close() -> None:
    """Remove them now. Idempotent."""
    for session in list(_watching):
        process = _watching.pop(session)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(_REMOVE_SECONDS)


def _remove(session: str) -> None:
    from tests.servers.images import connect

    client = connect()
    for container in client.containers.list(all=True, filters={"label": f"{_LABEL}={session}"}):
        container.remove(force=True, v=True)
    client.close()


if __name__ == "__main__":
    sys.stdin.buffer.read()
    _remove(sys.argv[1])
