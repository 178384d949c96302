"""The bytes of a file, a pipe or a terminal, read ahead a little by a thread of their own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import stat
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

STANDARD_INPUT = Path("-")

_CHUNK_BYTES = 1 << 16
_CHUNKS_AHEAD = 4


class UnreadableSource(Exception):
    """The file can't be read, or not any further; the text says why."""


Read = Callable[[int], bytes | None]


class Source:
    """Chunks of bytes as they come, 256 KiB in memory at most. Use as a context manager, once.

    Reading waits in a thread, so that a slow writer holds up neither the event loop nor Ctrl-C.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: deque[bytes | OSError] = deque()
        self._arrived = asyncio.Event()
        self._room = threading.Semaphore(_CHUNKS_AHEAD)
        self._closed = False

    @property
    def size_bytes(self) -> int | None:
        """How many bytes there will be, None if that isn't known."""
        if self._path == STANDARD_INPUT and sys.stdin is None:
            return None
        try:
            found = os.fstat(sys.stdin.fileno()) if self._path == STANDARD_INPUT else self._path.stat()
        except (OSError, ValueError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    @property
    def idle(self) -> bool:
        """Whether nothing further has been read so far."""
        return not self._pending

    async def __aenter__(self) -> Self:
        # A daemon, since a read of a pipe or a terminal can't be called off.
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="reading", daemon=True).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._room.release()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield chunk by chunk; raise UnreadableSource when reading fails."""
        while True:
            while not self._pending:
                # The thread sets it after it has added something, and in this loop: no signal gets lost.
                self._arrived.clear()
                await self._arrived.wait()
            chunk = self._pending.popleft()
            if isinstance(chunk, OSError):
                raise UnreadableSource(f"can't be read: {chunk.strerror or chunk}") from chunk
            if not chunk:
                return
            yield chunk
            self._room.release()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with _opened(self._path) as read:
                while self._room.acquire() and not self._closed:
                    chunk = read(_CHUNK_BYTES) or b""
                    self._hand_over(chunk, loop)
                    if not chunk:
                        return
        except OSError as error:
            self._hand_over(error, loop)

    def _hand_over(self, chunk: bytes | OSError, loop: asyncio.AbstractEventLoop) -> None:
        self._pending.append(chunk)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(self._arrived.set)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Read]:
    if path == STANDARD_INPUT:
        yield _standard_input()
    else:
        with path.open("rb", buffering=0) as file:
            yield file.read


def _standard_input() -> Read:
    if sys.stdin is None:
        raise OSError("it is closed")
    try:
        number = sys.stdin.fileno()
    except io.UnsupportedOperation:
        return sys.stdin.buffer.read
    # Past Python's buffer: its lock, held by a thread that waits, would hold up the end of the process.
    return lambda size_bytes: os.read(number, size_bytes)
