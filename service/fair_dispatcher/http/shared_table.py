"""A table of fixed size that processes share: in memory, or in a file that outlives them."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from broker_core.errors import ConfigurationError

KEY_BYTES = 16

_WAYS = 8
_MAGIC = b"fair-dispatcher shared table, form 1\n"
_HEADER = struct.Struct("<56sII")
_FRONT = struct.Struct(f"<{KEY_BYTES}sd")
_UNTIL = struct.Struct("<d")
_TRIES, _PAUSE_SECONDS = 100, 0.0002

# What is known, and until when.
Known = tuple[bytes, float]


class SharedTable:
    """Maps keys of 16 bytes to values of a fixed size, each until a moment, for all who have the file open.

    A change is seen by all at once, and survives the end of whoever made it. A key has eight places that it
    may be in; when they are all taken, the entry whose end comes first makes room.
    """

    def __init__(self, file: int, value_bytes: int) -> None:
        """Share a file of `make_table`, made for values of that size."""
        self._file = os.dup(file)
        self._value_bytes = value_bytes
        self._entry_bytes = _FRONT.size + value_bytes
        size_bytes = os.fstat(file).st_size
        self._buckets = (size_bytes - _HEADER.size) // (_WAYS * self._entry_bytes)
        self._memory = mmap.mmap(file, size_bytes)

    def update(self, key: bytes, now: float, change: Callable[[Known | None], Known | None]) -> bool:
        """Call `change` with what is known now and write what it returns; None: leave it. Atomic.

        What it returns with an end that isn't after `now` is forgotten. False, with nothing called, if
        another process keeps the place for longer than 20 ms, as one that is stopped does.
        """
        start = _HEADER.size + self._bucket_of(key) * _WAYS * self._entry_bytes
        if not self._lock(start):
            return False
        try:
            place, known = self._find(start, key, now)
            changed = change(known)
            if changed is not None:
                self._write(place, key, *changed)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, start)
        return True

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        if self._file >= 0:
            self._memory.close()
            os.close(self._file)
            self._file = -1

    def _bucket_of(self, key: bytes) -> int:
        return int.from_bytes(key[:8], "little") % self._buckets

    def _find(self, start: int, key: bytes, now: float) -> tuple[int, Known | None]:
        """Return where the key is with what is known, or where it may be written."""
        free, first_end = start, float("inf")
        for place in range(start, start + _WAYS * self._entry_bytes, self._entry_bytes):
            found, until = _FRONT.unpack_from(self._memory, place)
            if found == key and until > now:
                value = place + _FRONT.size
                return place, (self._memory[value : value + self._value_bytes], until)
            end = 0.0 if found == key or until <= now else until
            if end < first_end:
                free, first_end = place, end
        return free, None

    def _write(self, place: int, key: bytes, value: bytes, until: float) -> None:
        # Whoever is killed in between leaves an entry that counts as over, not a mixture of two.
        _UNTIL.pack_into(self._memory, place + KEY_BYTES, 0.0)
        self._memory[place : place + KEY_BYTES] = key
        begin = place + _FRONT.size
        self._memory[begin : begin + self._value_bytes] = value.ljust(self._value_bytes, b"\0")
        _UNTIL.pack_into(self._memory, place + KEY_BYTES, until)

    def _lock(self, start: int) -> bool:
        for _ in range(_TRIES):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, start)
            except (BlockingIOError, PermissionError):
                time.sleep(_PAUSE_SECONDS)
            else:
                return True
        return False


def make_table(entries: int, value_bytes: int, path: Path | None = None) -> int:
    """Return an open file for a table of at least so many entries: that at `path`, or one without a name.

    A file that is there keeps its entries and its size. Raises ConfigurationError.
    """
    if path is None:
        file = _nameless()
        _lay_out(file, entries, value_bytes)
        return file
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"the file {path}: {error.strerror}") from error
    try:
        fcntl.lockf(file, fcntl.LOCK_EX, _HEADER.size)
        if os.fstat(file).st_size == 0:
            _lay_out(file, entries, value_bytes)
        elif os.pread(file, _HEADER.size, 0) != _header(value_bytes):
            raise ConfigurationError(
                f"the file {path} is no table of this release: name another, or remove it"
            )
        fcntl.lockf(file, fcntl.LOCK_UN, _HEADER.size)
    except OSError as error:
        os.close(file)
        raise ConfigurationError(f"the file {path}: {error.strerror}") from error
    except BaseException:
        os.close(file)
        raise
    return file


def _nameless() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("fair-dispatcher")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _lay_out(file: int, entries: int, value_bytes: int) -> None:
    size_bytes = _HEADER.size + -(-entries // _WAYS) * _WAYS * (_FRONT.size + value_bytes)
    # Room that is promised: a full disk would otherwise end the process at its first write.
    if hasattr(os, "posix_fallocate") and not _in_memory(file):
        os.posix_fallocate(file, 0, size_bytes)
    else:
        os.ftruncate(file, size_bytes)
    os.pwrite(file, _header(value_bytes), 0)


def _in_memory(file: int) -> bool:
    return os.fstat(file).st_nlink == 0


def _header(value_bytes: int) -> bytes:
    return _HEADER.pack(_MAGIC, KEY_BYTES, value_bytes)
