"""Cuts chunks of bytes into numbered lines, without keeping one that is too long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end, numbered from 1; text is None if it was longer than allowed."""

    number: int
    text: bytes | None


class Lines:
    """Cuts what it is fed; a line that is longer than `longest_bytes` takes no more memory than that."""

    def __init__(self, longest_bytes: int) -> None:
        self.longest_bytes = longest_bytes
        self._number = 0
        self._parts: list[bytes] = []
        self._size_bytes = 0

    def cut(self, chunk: bytes) -> Iterator[Line]:
        """Yield the lines that end in this chunk."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._keep(end)
            yield self._finish()
        self._keep(rest)

    def last(self) -> Iterator[Line]:
        """Yield the line after the last line end, if there is one."""
        if self._size_bytes:
            yield self._finish()

    def _keep(self, part: bytes) -> None:
        self._size_bytes += len(part)
        if self._size_bytes > self.longest_bytes:
            self._parts.clear()
        else:
            self._parts.append(part)

    def _finish(self) -> Line:
        self._number += 1
        text = b"".join(self._parts) if self._size_bytes <= self.longest_bytes else None
        self._parts.clear()
        self._size_bytes = 0
        return Line(self._number, text)
