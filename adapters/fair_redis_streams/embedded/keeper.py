"""Keeps one server for a folder as long as a process uses it; a script of the standard library alone.

A user holds a shared lock on `users.lock`, so the kernel counts users, also those that are killed. The
keeper takes that lock exclusively when the last one is gone, ends the server and exits. It holds
`keeper.lock` all its life, and the server inherits a lock on `server.lock`: whoever gets both knows that
no keeper and no server is left.

    python keeper.py FOLDER SERVER_PROGRAM [--remove]

Exit codes: 0 the last user left, 1 the server doesn't run and `server.log` says why,
3 another keeper is at work.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

USERS_LOCK = "users.lock"
KEEPER_LOCK = "keeper.lock"
SERVER_LOCK = "server.lock"
STATE_FILE = "running.json"
LOG_FILE = "server.log"
SOCKET_NAME = "server.sock"

EXIT_SERVER_FAILED = 1
EXIT_ANOTHER_KEEPER = 3

# A socket's path has room for 103 bytes on macOS and 107 on Linux.
_MAX_SOCKET_PATH_BYTES = 100
_STEP_SECONDS = 0.1
_LOCK_SECONDS = 10.0
_STOP_SECONDS = 10.0
_MAX_STARTS = 3
_STARTS_WINDOW_SECONDS = 10.0
_MAX_LOG_BYTES = 1 << 20
_PR_SET_PDEATHSIG = 1


def open_lock(path: Path) -> int:
    """Open a lock file, made if need be, readable for its owner alone; the caller closes it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(lock: int, operation: int) -> bool:
    """Take the lock (LOCK_SH or LOCK_EX) if it is free now. Raises OSError where locks don't work."""
    try:
        fcntl.flock(lock, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Tell whether somebody holds this lock exclusively at this moment."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)


def read_state(folder: Path) -> dict[str, object]:
    """Read what the keeper last wrote about its server; empty if nothing is known."""
    try:
        state = json.loads((folder / STATE_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def socket_of(folder: Path) -> Path | None:
    """Return the socket that the keeper last named, None if there is none; its server may be gone."""
    name = read_state(folder).get("socket")
    return folder / name if isinstance(name, str) and name else None


def server_arguments(folder: Path, socket: Path) -> list[str]:
    """Set the server up: a socket and no port, each write in the append-only file, nothing ever evicted."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "daemonize": "no",
        "loglevel": "warning",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        # A stream with few entries costs about 1.3 KB this way instead of 4.5 KB.
        "stream-node-max-bytes": "512",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]


class Keeper:
    """One folder, its locks and its server."""

    def __init__(self, folder: Path, program: str, *, remove: bool) -> None:
        self._folder = folder
        self._program = program
        self._remove = remove
        self._users = open_lock(folder / USERS_LOCK)
        self._keeper = open_lock(folder / KEEPER_LOCK)
        self._server_lock = open_lock(folder / SERVER_LOCK)
        self._stopping = False

    def run(self) -> int:
        """Run the server until the last user is gone or SIGTERM comes; return the exit code."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        if not _lock_within(self._keeper, _LOCK_SECONDS):
            return EXIT_ANOTHER_KEEPER
        if not self._outlive_old_server():
            sys.stderr.write("the server of an earlier keeper does not end\n")
            return EXIT_SERVER_FAILED
        socket = _socket_for(self._folder)
        try:
            return self._serve(socket)
        finally:
            (self._folder / STATE_FILE).unlink(missing_ok=True)
            if socket.parent != self._folder:
                shutil.rmtree(socket.parent, ignore_errors=True)
            if self._remove:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _outlive_old_server(self) -> bool:
        if try_lock(self._server_lock, fcntl.LOCK_EX):
            return True
        pid = read_state(self._folder).get("server_pid")
        # Elsewhere the kernel has ended it together with its keeper, or will any moment.
        if sys.platform != "linux" and isinstance(pid, int):
            os.kill(pid, signal.SIGTERM)
        return _lock_within(self._server_lock, _LOCK_SECONDS)

    def _serve(self, socket: Path) -> int:
        starts: deque[float] = deque(maxlen=_MAX_STARTS)
        while True:
            starts.append(time.monotonic())
            server = self._start(socket)
            try:
                while server.poll() is None:
                    if self._stopping or try_lock(self._users, fcntl.LOCK_EX):
                        return 0
                    _wait(server, _STEP_SECONDS)
            finally:
                _end(server)
            if len(starts) == _MAX_STARTS and time.monotonic() - starts[0] < _STARTS_WINDOW_SECONDS:
                return EXIT_SERVER_FAILED

    def _start(self, socket: Path) -> subprocess.Popen[bytes]:
        server = subprocess.Popen(  # noqa: S603 - a program out of an installed package, without a shell
            [self._program, *server_arguments(self._folder, socket)],
            stdin=subprocess.DEVNULL,
            pass_fds=(self._server_lock,),
            preexec_fn=_dies_with_me(),
        )
        name = socket.name if socket.parent == self._folder else str(socket)
        state = {"socket": name, "keeper_pid": os.getpid(), "server_pid": server.pid}
        draft = self._folder / f"{STATE_FILE}.new"
        draft.write_text(json.dumps(state), "utf-8")
        draft.replace(self._folder / STATE_FILE)
        return server


def _lock_within(lock: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not try_lock(lock, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _socket_for(folder: Path) -> Path:
    socket = folder / SOCKET_NAME
    if len(os.fsencode(socket)) <= _MAX_SOCKET_PATH_BYTES:
        return socket
    former = socket_of(folder)
    # The place of a keeper that was killed serves again, so that its users' URL stays right.
    if former is not None and former.parent.is_dir() and former.parent.stat().st_uid == os.getuid():
        return former
    place = tempfile.gettempdir()
    if len(os.fsencode(place)) > _MAX_SOCKET_PATH_BYTES // 2:
        place = "/tmp"  # noqa: S108 - mkdtemp makes a folder there that is ours alone
    return Path(tempfile.mkdtemp(prefix="fairdispatch-", dir=place)) / SOCKET_NAME


def _dies_with_me() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    keeper_pid = os.getpid()

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper_pid:  # the keeper died before this took effect
            os._exit(EXIT_SERVER_FAILED)

    return in_child


def _wait(server: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        server.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()  # it writes and syncs its append-only file
    if not _wait(server, _STOP_SECONDS):
        server.kill()
        server.wait()


def _send_output_to(log: Path) -> None:
    grown = log.exists() and log.stat().st_size > _MAX_LOG_BYTES
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if grown else 0), 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)


def main() -> int:
    """Keep the server of the folder named on the command line; return the exit code."""
    folder, program = Path(sys.argv[1]), sys.argv[2]
    os.umask(0o077)
    os.chdir("/")
    _send_output_to(folder / LOG_FILE)
    return Keeper(folder, program, remove="--remove" in sys.argv[3:]).run()


if __name__ == "__main__":
    sys.exit(main())
