"""A TCP proxy that breaks connections on command, in the ways in which networks do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import Literal, Self

Direction = Literal["to_broker", "to_client"]

_CHUNK_BYTES = 1 << 16
# With a linger of 0 seconds closing sends RST, which the peer sees as a connection that broke.
_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    broker: asyncio.StreamWriter
    dead: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def abort(self) -> None:
        _reset(self.client)
        _reset(self.broker)


class TcpProxy:
    """Forwards connections to a broker until it is told to misbehave; its methods may be called at any time.

    accepted: connections taken so far. bytes_passed: what was forwarded, by direction.
    delay_seconds: every chunk is held up that long.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.accepted = 0
        self.bytes_passed: dict[Direction, int] = {"to_broker": 0, "to_client": 0}
        self.delay_seconds = 0.0
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._swallowed: set[Direction] = set()
        self._cut_after: dict[Direction, int] = {}
        self._rejecting = False

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    async def start(self) -> Self:
        """Listen on a free port of the loopback interface."""
        await self.accept()
        return self

    async def accept(self) -> None:
        """Undo every misbehaviour: listen, forward, take new connections."""
        self._rejecting = False
        self.delay_seconds = 0.0
        self._swallowed.clear()
        self._cut_after.clear()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Cut all connections and stop listening, as if the broker were down."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    def reject(self) -> None:
        """Cut all connections, and every new one right after taking it, as a broker that is starting does."""
        self._rejecting = True
        self.cut()

    def cut(self) -> None:
        """Reset all present connections on both sides; new ones are taken."""
        for connection in self._connections:
            connection.abort()

    def cut_after(self, size_bytes: int, direction: Direction) -> None:
        """Reset the connection over which this many more bytes have gone in that direction, once.

        The bytes up to there are forwarded.
        """
        self._cut_after[direction] = size_bytes

    def swallow(self, direction: Direction) -> None:
        """Take in what comes in that direction and forward nothing of it, on all connections."""
        self._swallowed.add(direction)

    def half_open(self) -> None:
        """Let the broker's end of all present connections die without the client hearing of it."""
        for connection in self._connections:
            connection.dead = True
            _reset(connection.broker)

    async def close(self) -> None:
        """Cut everything for good. Idempotent."""
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: some releases of Python report a crash when the server's is cancelled.
        self.accepted += 1
        task = asyncio.create_task(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._rejecting:
            _reset(writer)
            return
        try:
            broker_reader, broker_writer = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            return
        connection = _Connection(writer, broker_writer)
        self._connections.add(connection)
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, broker_writer, connection, "to_broker"))
                pumps.create_task(self._pump(broker_reader, writer, connection, "to_client"))
        finally:
            self._connections.discard(connection)
            connection.abort()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        connection: _Connection,
        direction: Direction,
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(_CHUNK_BYTES):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if connection.dead or direction in self._swallowed:
                    continue
                passed, cut = self._allowed(chunk, direction)
                sink.write(passed)
                self.bytes_passed[direction] += len(passed)
                await sink.drain()
                if cut:
                    break
        if not connection.dead:
            await _end(connection, sink)

    def _allowed(self, chunk: bytes, direction: Direction) -> tuple[bytes, bool]:
        left = self._cut_after.get(direction)
        if left is None:
            return chunk, False
        if len(chunk) < left:
            self._cut_after[direction] = left - len(chunk)
            return chunk, False
        del self._cut_after[direction]
        return chunk[:left], True


async def _end(connection: _Connection, sink: asyncio.StreamWriter) -> None:
    # What was forwarded has to arrive before the reset, so the sink is closed in an orderly way.
    with contextlib.suppress(OSError):
        sink.close()
        await sink.wait_closed()
    connection.abort()


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        raw = writer.get_extra_info("socket")
        if raw is not None and raw.fileno() >= 0:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
