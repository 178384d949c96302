"""Joins the users of a folder's server, starts its keeper where there is none, and waits until it answers."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from broker_core.errors import BrokerUnavailable, ConfigurationError
from fair_redis_streams.embedded import EmbeddedServer, keeper, places

_START_LOCK = "start.lock"
_START_SECONDS = 30.0
_LOAD_SECONDS = 300.0
_STEP_SECONDS = 0.02
_ANSWER_SECONDS = 1.0


@dataclass(slots=True)
class _Membership:
    """This process among the users of a folder: the shared lock, and how often it was acquired here."""

    lock: int
    private: bool
    count: int = 1


_mutex = threading.Lock()
_members: dict[Path, _Membership] = {}


async def acquire(url: str) -> EmbeddedServer:
    """See `fair_redis_streams.embedded.acquire`."""
    named = places.folder_of(url)
    program = places.server_program()
    if named is not None:
        places.prepare(named)
    patience = _Patience()
    while (folder := _join(named)) is None:  # a keeper ends the server that the last user has left
        await patience.step(f"the embedded server in {named} does not end")
    try:
        with places.explained(folder):
            socket = await _running_socket(folder, program, patience)
        return EmbeddedServer(folder, socket, _leave)
    except BaseException:
        _leave(folder)
        raise


def _join(named: Path | None) -> Path | None:
    """Count one more use in this process; None while a keeper is ending the server."""
    with _mutex:
        folder = named or next((path for path, one in _members.items() if one.private), None)
        if folder is None:
            folder = places.make_private()
        if (membership := _members.get(folder)) is not None:
            membership.count += 1
            return folder
        with places.explained(folder):
            lock = keeper.open_lock(folder / keeper.USERS_LOCK)
            try:
                if not keeper.try_lock(lock, fcntl.LOCK_SH):
                    os.close(lock)
                    return None
            except OSError:
                os.close(lock)
                raise
        _members[folder] = _Membership(lock, private=named is None)
        return folder


def _leave(folder: Path) -> None:
    with _mutex:
        membership = _members.get(folder)
        if membership is None:
            return
        membership.count -= 1
        if membership.count > 0:
            return
        del _members[folder]
        # Nobody else removes a private folder whose keeper was killed or never started.
        orphaned = membership.private and not keeper.is_locked(folder / keeper.KEEPER_LOCK)
        os.close(membership.lock)
    if orphaned:
        shutil.rmtree(folder, ignore_errors=True)


def _forget_in_child() -> None:
    """A forked child is a user only if it acquires: the parent's locks must not live as long as it."""
    global _mutex
    _mutex = threading.Lock()
    for membership in _members.values():
        os.close(membership.lock)
    _members.clear()


os.register_at_fork(after_in_child=_forget_in_child)


class _Patience:
    """Waits in small steps, in all no longer than a server may take to start or to load its data."""

    def __init__(self) -> None:
        self._begin = time.monotonic()

    async def step(self, problem: str, limit_seconds: float = _START_SECONDS) -> None:
        if time.monotonic() - self._begin > limit_seconds:
            raise BrokerUnavailable(f"{problem} after {limit_seconds:g} seconds; see {keeper.LOG_FILE} there")
        await asyncio.sleep(_STEP_SECONDS)


async def _running_socket(folder: Path, program: Path, patience: _Patience) -> Path:
    started: subprocess.Popen[bytes] | None = None
    while True:
        answer = ""
        if keeper.is_locked(folder / keeper.KEEPER_LOCK):
            socket = keeper.socket_of(folder)
            answer = await _answer(socket) if socket is not None else ""
            if socket is not None and answer == "+PONG":
                return socket
        elif started is not None and started.returncode not in {None, keeper.EXIT_ANOTHER_KEEPER}:
            raise BrokerUnavailable(f"the embedded server in {folder} does not run: {_last_words(folder)}")
        else:
            started = await _start_keeper(folder, program, patience) or started
        if answer.startswith("-LOADING"):
            await patience.step(f"the embedded server in {folder} is still loading its data", _LOAD_SECONDS)
        else:
            await patience.step(f"the embedded server in {folder} does not answer")


async def _answer(socket: Path) -> str:
    """Return the first line that the server answers to PING, empty if it doesn't within a second."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(b"PING\r\n")
                return (await reader.readline()).decode("utf-8", "replace").strip()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return ""


async def _start_keeper(folder: Path, program: Path, patience: _Patience) -> subprocess.Popen[bytes] | None:
    """Start a keeper unless another user does so; return it once it is at work or has ended."""
    with _starting(folder) as alone:
        if not alone or keeper.is_locked(folder / keeper.KEEPER_LOCK):
            return None
        process = _spawn_keeper(folder, program)
        while process.returncode is None and not keeper.is_locked(folder / keeper.KEEPER_LOCK):
            await patience.step(f"the keeper of the embedded server in {folder} does not start")
        return process


@contextmanager
def _starting(folder: Path) -> Iterator[bool]:
    lock = keeper.open_lock(folder / _START_LOCK)
    try:
        yield keeper.try_lock(lock, fcntl.LOCK_EX)
    finally:
        os.close(lock)


def _spawn_keeper(folder: Path, program: Path) -> subprocess.Popen[bytes]:
    with _mutex:
        private = folder in _members and _members[folder].private
    # -I and -S: it starts in a few milliseconds, and nothing of this process's environment can disturb it.
    command = [sys.executable, "-I", "-S", keeper.__file__, str(folder), str(program)]
    try:
        process = subprocess.Popen(  # noqa: S603 - our own script, without a shell
            [*command, "--remove"] if private else command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the users; the keeper ends after them
        )
    except OSError as error:
        raise ConfigurationError(f"the embedded server needs a Python to run its keeper: {error}") from error
    threading.Thread(target=process.wait, name="embedded-server-keeper", daemon=True).start()
    return process


def _last_words(folder: Path) -> str:
    try:
        lines = (folder / keeper.LOG_FILE).read_text("utf-8", "replace").split("\n")
    except OSError as error:
        return str(error)
    return next((line.strip() for line in reversed(lines) if line.strip()), "it left no word")
