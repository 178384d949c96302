"""Connections to the broker that are made anew when they break, few times a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, TypeVar, cast

from aio_pika.abc import AbstractChannel
from aiormq.connection import Connection as Wire
from yarl import URL

from broker_core.errors import BrokerUnavailable, ConfigurationError
from fair_rabbitmq.alarm import Alarm
from fair_rabbitmq.cuttable import CuttableConnection
from fair_rabbitmq.ending import cancelling_passes, end_tasks
from fair_rabbitmq.errors import CLIENT_ERRORS, NotSent, to_dispatcher_error
from fair_rabbitmq.wire import WireChannel

T = TypeVar("T")

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 1.0
CLOSE_SECONDS, CUT_SECONDS = 0.3, 0.1

# Outages are told once by whoever uses this adapter; the client's own loggers tell each failure, with
# traces of the frames that were under way. Their debug lines quote whole frames, payloads and passwords
# included: they are shown only to who asks for this client's own.
for _name in ("aiormq", "aio_pika"):
    _logger = logging.getLogger(_name)
    _logger.addHandler(logging.NullHandler())
    if _logger.level == logging.NOTSET:
        _logger.setLevel(logging.INFO)


def url_of(text: str) -> URL:
    """Read amqp://host… or amqps://host…; raise ConfigurationError for anything else."""
    try:
        url = URL(text)
        if url.scheme in ("amqp", "amqps") and url.host and url.port != 0:
            return url
    except ValueError:
        pass  # its text may quote a part of the password
    raise ConfigurationError(
        "RABBITMQ_URL is not a URL of RabbitMQ: amqp://[user:password@]host[:port]/vhost, amqps://… for TLS; "
        "special characters in the user name and the password are percent-encoded"
    )


class Link:
    """One connection, made when it is first needed. Every wait is bounded by the time-out."""

    def __init__(
        self,
        url: str,
        name: str,
        timeout_seconds: float,
        heartbeat_seconds: int,
        alarm: Alarm | None = None,
    ) -> None:
        self.alarm = Alarm() if alarm is None else alarm
        self._url = url_of(url).update_query(
            {"name": name, "heartbeat": str(heartbeat_seconds), "timeout": str(int(timeout_seconds) or 1)}
        )
        self.timeout_seconds = timeout_seconds
        self._connection: CuttableConnection | None = None
        self._connecting: asyncio.Task[CuttableConnection] | None = None
        self._pause_seconds = 0.0
        self._not_before = 0.0
        self._closed = False
        self._dropping: set[asyncio.Task[None]] = set()

    @property
    def is_up(self) -> bool:
        """Tell whether there is a connection, as far as is known."""
        return self._connection is not None and _is_open(self._connection)

    async def connection(self) -> CuttableConnection:
        """Return the connection; raises NotSent (BrokerUnavailable) when there is none in time."""
        if self._connection is not None and _is_open(self._connection):
            return self._connection
        if self._closed:
            raise NotSent("the dispatcher is closed")
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect(), name="fair-dispatcher-connect")
            self._connecting.add_done_callback(self._connected)
        try:
            async with asyncio.timeout(self.timeout_seconds):
                with cancelling_passes():
                    return await asyncio.shield(self._connecting)
        except (TimeoutError, ConnectionError) as error:
            raise NotSent("RabbitMQ can't be reached in time") from error

    def _connected(self, task: asyncio.Task[CuttableConnection]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()

    async def _connect(self) -> CuttableConnection:
        if self._connection is not None:
            await self._end(self._connection)
            self._connection = None
        clock = asyncio.get_running_loop().time
        if (wait := self._not_before - clock()) > 0:
            await asyncio.sleep(wait)
        connection = CuttableConnection(self._url)
        try:
            async with asyncio.timeout(self.timeout_seconds):
                with cancelling_passes():
                    await connection.connect()
                    wire = wire_of(connection)
                    await wire.connected.wait()
                    self.alarm.watch(wire)
        except CLIENT_ERRORS as error:
            self._pause_seconds = min(
                max(FIRST_PAUSE_SECONDS, 2 * self._pause_seconds), LONGEST_PAUSE_SECONDS
            )
            self._not_before = clock() + self._pause_seconds
            await self._end(connection)
            failure = to_dispatcher_error(error)
            if isinstance(failure, BrokerUnavailable) and failure.retryable:
                raise NotSent(str(failure)) from error
            raise failure from error
        except asyncio.CancelledError:
            await self._end(connection)
            raise
        self._pause_seconds = self._pause_seconds / 2 if self._pause_seconds > FIRST_PAUSE_SECONDS else 0.0
        # A broker that takes connections and drops them at once must not make us spin.
        self._not_before = clock() + max(FIRST_PAUSE_SECONDS, self._pause_seconds)
        self._connection = connection
        return connection

    async def wire(self) -> Wire:
        """Return the connection as aiormq has it."""
        return wire_of(await self.connection())

    async def open_channel(self, *, confirms: bool) -> WireChannel:
        """Open a channel of ours, bounded."""
        wire = await self.wire()
        try:
            async with asyncio.timeout(self.timeout_seconds):
                with cancelling_passes():
                    return await WireChannel.open_on(wire, confirms=confirms)
        except CLIENT_ERRORS as error:
            if isinstance(error, TimeoutError):
                self.drop(wire)
            raise NotSent("RabbitMQ can't be reached or doesn't answer in time") from error

    async def open_plain(self, *, confirms: bool) -> AbstractChannel:
        """Open a channel of aio-pika's, bounded; unroutable messages are errors."""
        connection = await self.connection()
        try:
            async with asyncio.timeout(self.timeout_seconds):
                with cancelling_passes():
                    return await connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        except CLIENT_ERRORS as error:
            if isinstance(error, TimeoutError):
                self.drop(wire_of(connection))
            raise NotSent("RabbitMQ can't be reached or doesn't answer in time") from error

    def drop(self, wire: Wire) -> None:
        """Give up a connection that doesn't answer, so that the next call makes a new one."""
        connection = self._connection
        if connection is None or connection.transport is None or wire_of(connection) is not wire:
            return
        self._connection = None
        task = asyncio.create_task(self._end(connection), name="fair-dispatcher-drop")
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)

    async def _end(self, connection: CuttableConnection) -> None:
        """Disconnect in an orderly way if the broker answers soon, else by cutting; a second at most."""
        if connection.transport is not None:
            cast(Any, wire_of(connection)).READER_CLOSE_TIMEOUT = CLOSE_SECONDS
        closing = asyncio.ensure_future(connection.close())
        closing.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            await asyncio.wait({closing}, timeout=2 * CLOSE_SECONDS)
        finally:
            connection.cut()
        if not closing.done():
            await asyncio.wait({closing}, timeout=CUT_SECONDS)
            await end_tasks([closing], CUT_SECONDS)

    def cut(self) -> None:
        """Cut what is connected, for good: all that waits for the broker fails at once."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.cut()

    async def close(self) -> None:
        """Disconnect for good. Idempotent; takes a second at most."""
        self._closed = True
        if self._connecting is not None:
            await end_tasks([self._connecting])
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._end(connection)
        await end_tasks(self._dropping)

    async def bounded(self, wire: Wire, call: Awaitable[T]) -> T:
        """Return what a call on this connection returns; drops it if there is no answer in time."""
        try:
            async with asyncio.timeout(self.timeout_seconds):
                with cancelling_passes():
                    return await call
        except CLIENT_ERRORS as error:
            if isinstance(error, TimeoutError):
                self.drop(wire)
            raise to_dispatcher_error(error) from error


def wire_of(connection: CuttableConnection) -> Wire:
    """Return aiormq's part of a connection."""
    if connection.transport is None:
        raise NotSent("the connection is closed")
    return cast(Wire, connection.transport.connection)


def _is_open(connection: CuttableConnection) -> bool:
    return connection.transport is not None and wire_of(connection).is_opened


class Connections:
    """Publishing and consuming have connections of their own: a full broker stops reading from publishers."""

    def __init__(self, url: str, name: str, timeout_seconds: float, heartbeat_seconds: int) -> None:
        self.alarm = Alarm()
        self.publisher = Link(url, f"{name} publishing", timeout_seconds, heartbeat_seconds, self.alarm)
        self.consumer = Link(url, f"{name} consuming", timeout_seconds, heartbeat_seconds)

    async def publishing(self) -> AbstractChannel:
        """Open a channel with publisher confirms whose unroutable messages are errors."""
        return await self.publisher.open_plain(confirms=True)

    async def consuming(self) -> AbstractChannel:
        """Open a channel for consuming."""
        return await self.consumer.open_plain(confirms=False)

    def cut(self) -> None:
        """Cut both for good: all that waits for the broker fails at once."""
        self.publisher.cut()
        self.consumer.cut()

    async def close(self) -> None:
        """Disconnect. Idempotent; takes a second at most."""
        await asyncio.gather(self.publisher.close(), self.consumer.close())
