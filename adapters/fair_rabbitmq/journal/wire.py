"""Publishing with confirms and reading streams, on channels that are replaced when they break."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aio_pika.abc import AbstractChannel
from aiormq.abc import AbstractChannel as RawChannel
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import ChannelPreconditionFailed, DeliveryError, PublishError
from pamqp.commands import Basic
from pamqp.common import FieldValue

from broker_core.errors import BrokerUnavailable, DispatcherError
from fair_rabbitmq.ending import begin, cancelling_passes
from fair_rabbitmq.errors import CLIENT_ERRORS, is_about_a_missing_queue, to_dispatcher_error
from fair_rabbitmq.journal.channels import Channels

_CLOSE_SECONDS = 0.2
_RECOVERY_PAUSE_SECONDS = 0.2


class NotStored(BrokerUnavailable):
    """The broker refused the message, as a queue does that was just made or has lost its leader."""


class Unroutable(NotStored):
    """There is no queue of that name."""


@contextlib.contextmanager
def broker_errors() -> Iterator[None]:
    """Turn the client's errors into BrokerUnavailable, or what else they mean."""
    try:
        with cancelling_passes():
            yield
    except PublishError as error:
        raise Unroutable("a queue that should exist doesn't") from error
    except DeliveryError as error:
        raise NotStored("RabbitMQ refused a message for now") from error
    except CLIENT_ERRORS as error:
        raise to_dispatcher_error(error) from error


async def close_channel(channel: AbstractChannel | RawChannel) -> None:
    """Close a channel, or leave it to the end of its connection if the broker doesn't answer soon."""
    # Not cancelled: the client would send its request again, which ends the whole connection.
    closing = asyncio.ensure_future(channel.close())
    closing.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({closing}, timeout=_CLOSE_SECONDS)


async def declare_queue(
    channels: Channels, name: str, arguments: Mapping[str, str | int], timeout_seconds: float
) -> None:
    """Make a durable queue; one that exists with other arguments is taken as it is.

    Raises BrokerUnavailable. One that a broker which just started hasn't recovered yet is waited for.
    """
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + timeout_seconds
    while True:
        try:
            await _declare_once(channels, name, arguments, timeout_seconds)
        except BrokerUnavailable as error:
            if not is_about_a_missing_queue(error) or clock() > give_up_at:
                raise
            await asyncio.sleep(_RECOVERY_PAUSE_SECONDS)
        else:
            return


async def _declare_once(
    channels: Channels, name: str, arguments: Mapping[str, str | int], timeout_seconds: float
) -> None:
    channel = await channels.consuming()
    try:
        with broker_errors():
            raw = await channel.get_underlay_channel()
            await raw.queue_declare(name, durable=True, arguments=dict(arguments), timeout=timeout_seconds)
    except DispatcherError as error:
        # Its arguments can't be changed, and another release or other settings made it.
        if not isinstance(error.__cause__, ChannelPreconditionFailed):
            raise
    finally:
        await close_channel(channel)


class Publisher:
    """Publishes on one channel, opened when it is needed. May be used concurrently.

    patient: under an alarm it waits for its end, or for the end of the connection; else it fails at once.
    """

    def __init__(self, channels: Channels, timeout_seconds: float, *, patient: bool = False) -> None:
        self._channels = channels
        self._patient = patient
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

        After BrokerUnavailable it may be stored or not; after NotStored, a kind of it, it is not. Under
        an alarm BrokerFull: it isn't stored, or BrokerUnavailable when it was already sent.
        """
        alarm = self._channels.alarm
        if not self._patient:
            alarm.check()
        channel = await self._open()
        # The client finds a returned message by this, so it must be given or made up by it.
        properties = Basic.Properties(
            delivery_mode=2, message_id=message_id, headers=dict(headers) if headers else None
        )
        publishing = begin(
            channel.basic_publish(body, routing_key=queue, properties=properties, mandatory=True)
        )
        try:
            with broker_errors():
                async with asyncio.timeout(None if self._patient else self._timeout_seconds):
                    stored = await (
                        self._wait(channel, publishing) if self._patient else alarm.first(publishing)
                    )
                if stored:
                    publishing.result()
        except NotStored:
            raise
        except DispatcherError:
            await self._drop(channel)
            raise
        finally:
            publishing.cancel()
        if not stored:
            raise BrokerUnavailable("RabbitMQ has an alarm: it may store the message when that is over")
        alarm.confirmed()

    async def _wait(self, channel: RawChannel, publishing: asyncio.Future[Any]) -> bool:
        """Wait until it is published; TimeoutError in time, unless the broker said that it takes longer."""
        while True:
            await asyncio.wait({publishing}, timeout=self._timeout_seconds)
            if publishing.done():
                return True
            if not self._channels.alarm.blocks(channel.connection):
                raise TimeoutError

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


class Consumer:
    """Takes messages of one queue on a channel of its own; at most `prefetch` are unacked at a time."""

    def __init__(
        self,
        channels: Channels,
        queue: str,
        *,
        timeout_seconds: float,
        prefetch: int,
        arguments: Mapping[str, str | int] | None = None,
    ) -> None:
        self._channels, self._queue = channels, queue
        self._timeout_seconds, self._prefetch = timeout_seconds, prefetch
        self._arguments: dict[str, FieldValue] = dict(arguments or {})
        self._channel: RawChannel | None = None
        self._messages: list[DeliveredMessage] = []
        self._changed = asyncio.Event()
        self._broken = False

    async def open(self) -> None:
        """Begin to consume. Raises BrokerUnavailable; then there is nothing to close."""
        opened = await self._channels.consuming()
        try:
            with broker_errors():
                channel = self._channel = await opened.get_underlay_channel()
                channel.closing.add_done_callback(self._break)
                channel.on_consumer_cancel_callbacks.add(self._break)
                await channel.basic_qos(prefetch_count=self._prefetch, timeout=self._timeout_seconds)
                await channel.basic_consume(
                    self._queue, self._take, arguments=self._arguments, timeout=self._timeout_seconds
                )
        except BrokerUnavailable as error:
            await close_channel(opened)
            if isinstance(error.__cause__, ChannelPreconditionFailed):
                # Of what was declared a moment ago, the replica on this node may not be up yet.
                raise BrokerUnavailable("RabbitMQ isn't ready to read from the queue") from error.__cause__
            raise
        except BaseException:
            await close_channel(opened)
            raise

    async def close(self) -> None:
        """Close the channel; what is unacked goes back to the queue. Idempotent."""
        self._break()
        if self._channel is not None:
            await close_channel(self._channel)

    async def next(self, wait_seconds: float) -> list[DeliveredMessage]:
        """Return what has come, as soon as there is something; nothing after the wait.

        Raises BrokerUnavailable when the channel has ended.
        """
        if not self._messages and not self._broken:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds):
                    await self._changed.wait()
        if self._broken:
            raise BrokerUnavailable("the channel that consumes was closed")
        messages, self._messages = self._messages, []
        return messages

    async def ack(self, tag: int, *, multiple: bool = False) -> None:
        """Ack a message, or all up to it. Raises BrokerUnavailable when the channel has ended."""
        if self._channel is None or self._broken:
            raise BrokerUnavailable("the channel that consumes was closed")
        with broker_errors():
            await self._channel.basic_ack(tag, multiple=multiple, wait=False)

    async def _take(self, message: DeliveredMessage) -> None:
        self._messages.append(message)
        self._changed.set()

    def _break(self, _: object = None) -> None:
        self._broken = True
        self._changed.set()


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a stream."""

    offset: int
    body: bytes


class StreamReader:
    """Reads a stream from an offset on, without taking anything out of it.

    offset: a number, "first", "last" (the last that were stored together) or "next" (what comes after).
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
        self._consumer = Consumer(
            channels,
            stream,
            timeout_seconds=timeout_seconds,
            prefetch=prefetch,
            arguments={"x-stream-offset": offset},
        )

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> Self:
        """Begin to read. Raises BrokerUnavailable; then there is nothing to close."""
        await self._consumer.open()
        return self

    async def close(self) -> None:
        """Stop reading. Idempotent."""
        await self._consumer.close()

    async def next(self, wait_seconds: float) -> list[Entry]:
        """Return what has come, as soon as there is something; nothing after the wait.

        Raises BrokerUnavailable when the channel has ended.
        """
        messages = await self._consumer.next(wait_seconds)
        if messages and messages[-1].delivery_tag is not None:
            # For a stream this takes nothing away; it asks for more.
            await self._consumer.ack(messages[-1].delivery_tag, multiple=True)
        return [Entry(_offset_of(message), bytes(message.body)) for message in messages]


def _offset_of(message: DeliveredMessage) -> int:
    offset = (message.header.properties.headers or {}).get("x-stream-offset")
    return offset if isinstance(offset, int) else -1
