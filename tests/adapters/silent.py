"""A server that takes connections and never answers, like one that speaks another protocol."""

from __future__ import annotations

import asyncio


class Silent:
    """Counts the connections that it takes."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def accepted(self) -> int:
        """How many connections were made so far."""
        return len(self._writers)

    def take(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection."""
        self._writers.append(writer)

    def close(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            writer.transport.abort()
