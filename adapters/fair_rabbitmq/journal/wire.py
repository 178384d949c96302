"""Publishing with confirms and reading streams, on channels that are replaced when they break."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aio_pika.abc import AbstractChannel
from aiormq.abc import AbstractChannel as RawChannel
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import AMQPError, ChannelInvalidStateError, ChannelPreconditionFailed, PublishError
from pamqp.commands import Basic

from broker_core.errors import BrokerUnavailable
from fair_rabbitmq.journal.channels import Channels

_CLOSE_SECONDS = 0.2


class Unroutable(BrokerUnavailable):
    """There is no queue of that name."""


@contextlib.contextmanager
def broker_errors(what: str) -> Iterator[None]:
    """Turn the client's errors into BrokerUnavailable."""
    try:
        yield
    except asyncio.CancelledError as error:
        # The client cancels what waits on a channel that ends; only a real cancelling is counted.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BrokerUnavailable(f"{what}: the channel was closed") from error
    except PublishError as error:
        raise Unroutable(f"{what}: the queue doesn't exist") from error
    except (AMQPError, OSError, TimeoutError, ChannelInvalidStateError) as error:
        raise BrokerUnavailable(f"{what}: {type(error).__name__}: {error}") from error


async def close_channel(channel: AbstractChannel | RawChannel) -> None:
    """Close a channel, or leave it to the end of its connection if the broker doesn't answer soon."""
    with contextlib.suppress(BrokerUnavailable), broker_errors("closing"):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await channel.close()


async def declare_queue(
    channels: Channels, name: str, arguments: Mapping[str, str | int], timeout_seconds: float
) -> None:
    """Make a durable queue; one that exists with other arguments is taken as it is."""
    channel = await channels.consuming()
    try:
        with broker_errors(f"declaring {name}"):
            raw = await channel.get_underlay_channel()
            await raw.queue_declare(name, durable=True, arguments=dict(arguments), timeout=timeout_seconds)
    except BrokerUnavailable as error:
        # Its arguments can't be changed, and another release or other settings made it.
        if not isinstance(error.__cause__, ChannelPreconditionFailed):
            raise
    finally:
        await close_channel(channel)


class Publisher:
    """Publishes on one channel, opened when it is needed. May be used concurrently."""

    def __init__(self, channels: Channels, timeout_seconds: float) -> None:
        self._channels = channels
        self._timeout_seconds = timeout_seconds
        self._channel: RawChannel | None = None
        self._opening = asyncio.Lock()

    async def publish(
        self,
        queue: str,
        body: bytes,
        *,
        message_id: str | None = None,
        headers: Mapping[str, str | int] | None = None,
    ) -> None:
        """Put a message into a queue; returns when the broker confirmed it.

        After BrokerUnavailable it may be stored or not; after Unroutable, a kind of it, it is not.
        """
        channel = await self._open()
        # The client finds a returned message by this, so it must be given or made up by it.
        properties = Basic.Properties(
            delivery_mode=2, message_id=message_id, headers=dict(headers) if headers else None
        )
        try:
            with broker_errors(f"publishing to {queue}"):
                await channel.basic_publish(
                    body,
                    routing_key=queue,
                    properties=properties,
                    mandatory=True,
                    timeout=self._timeout_seconds,
                )
        except Unroutable:
            raise
        except BrokerUnavailable:
            await self._drop(channel)
            raise

    async def close(self) -> None:
        """Close the channel."""
        if self._channel is not None:
            await self._drop(self._channel)

    async def _open(self) -> RawChannel:
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                channel = await self._channels.publishing()
                self._channel = await channel.get_underlay_channel()
            return self._channel

    async def _drop(self, channel: RawChannel) -> None:
        if self._channel is channel:
            self._channel = None
        await close_channel(channel)


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a stream."""

    offset: int
    body: bytes


class StreamReader:
    """Reads a stream from an offset on, without taking anything out of it.

    offset: a number, "first" or "last" (the last that were stored together). At most `prefetch`
    entries wait in memory.
    """

    def __init__(
        self,
        channels: Channels,
        stream: str,
        offset: int | str,
        *,
        timeout_seconds: float,
        prefetch: int = 100,
    ) -> None:
        self._channels, self._stream, self._offset = channels, stream, offset
        self._timeout_seconds, self._prefetch = timeout_seconds, prefetch
        self._channel: RawChannel | None = None
        self._entries: deque[Entry] = deque()
        self._last_tag = 0
        self._changed = asyncio.Event()
        self._broken = False

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> Self:
        """Begin to read. Raises BrokerUnavailable; then there is nothing to close."""
        opened = await self._channels.consuming()
        try:
            with broker_errors(f"reading {self._stream}"):
                channel = self._channel = await opened.get_underlay_channel()
                channel.closing.add_done_callback(self._break)
                channel.on_consumer_cancel_callbacks.add(self._break)
                await channel.basic_qos(prefetch_count=self._prefetch, timeout=self._timeout_seconds)
                await channel.basic_consume(
                    self._stream,
                    self._take,
                    arguments={"x-stream-offset": self._offset},
                    timeout=self._timeout_seconds,
                )
        except BaseException:
            await close_channel(opened)
            raise
        return self

    async def close(self) -> None:
        """Close the channel. Idempotent."""
        self._broken = True
        if self._channel is not None:
            await close_channel(self._channel)

    async def next(self, wait_seconds: float) -> list[Entry]:
        """Return what has come, as soon as there is something; nothing after the wait.

        Raises BrokerUnavailable when the channel has ended.
        """
        if not self._entries and not self._broken:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds):
                    await self._changed.wait()
        if self._entries:
            entries = list(self._entries)
            self._entries.clear()
            await self._ask_for_more()
            return entries
        if self._broken:
            raise BrokerUnavailable(f"reading {self._stream}: the channel was closed")
        return []

    async def _ask_for_more(self) -> None:
        if self._channel is None:
            return
        try:
            with broker_errors(f"reading {self._stream}"):
                await self._channel.basic_ack(self._last_tag, multiple=True, wait=False)
        except BrokerUnavailable:
            self._break()

    async def _take(self, message: DeliveredMessage) -> None:
        headers = message.header.properties.headers or {}
        offset = headers.get("x-stream-offset")
        if isinstance(offset, int) and message.delivery_tag is not None:
            self._last_tag = message.delivery_tag
            self._entries.append(Entry(offset, bytes(message.body)))
            self._changed.set()

    def _break(self, _: object = None) -> None:
        self._broken = True
        self._changed.set()
