"""A channel of aiormq's without a task for each delivery, and with calls in bundles."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from aiormq.connection import Connection
from pamqp import commands
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.frame import marshal
from pamqp.header import ContentHeader

_FRAMES_BUFFERED = 1000
_MOST_BYTES_AT_ONCE = 256 << 10
_BODY_FRAME, _FRAME_END = 3, b"\xce"


@dataclass(slots=True, eq=False)
class Post:
    """A message on its way. confirmed: True, or False when refused; returned: there is no queue for it."""

    exchange: str
    key: str
    properties: Basic.Properties
    body: bytes = field(repr=False)
    sent: bool = False
    confirmed: bool | None = None
    returned: bool = False


@dataclass(slots=True, eq=False)
class _Batch:
    left: int
    done: asyncio.Future[None]


OnDelivery = Callable[[Basic.Deliver, Basic.Properties, bytes], None]


class _Replies:
    """Stands in for the queue of answers: each goes to the call that asked for it."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[Frame]] = deque()

    def expect(self) -> asyncio.Future[Frame]:
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def forget(self, future: asyncio.Future[Frame]) -> None:
        self._waiting.remove(future)

    def fail(self, error: BaseException) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(error)
                future.exception()

    async def put(self, frame: Frame) -> None:
        if self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(frame)

    async def get(self) -> Frame:
        return await self.expect()

    def task_done(self) -> None:
        return


class _Sieve:
    """Stands in for the queue of frames: handles frequent ones on the spot, queues the others."""

    def __init__(self, channel: WireChannel, rest: asyncio.Queue[Any]) -> None:
        self._channel = channel
        self._rest = rest

    async def put(self, item: tuple[int, Any]) -> None:
        if not self._channel.take(item[1]):
            await self._rest.put(item)

    async def get(self) -> Any:
        return await self._rest.get()

    def task_done(self) -> None:
        self._rest.task_done()


class WireChannel(Channel):
    """on_delivery is called for each message, in order; it must neither wait nor raise.

    Calls raise aiormq's errors when the channel is or gets closed.
    """

    def __init__(self, connection: Connection, number: int, *, confirms: bool) -> None:
        super().__init__(connection, number, publisher_confirms=confirms, frame_buffer=_FRAMES_BUFFERED)
        self.on_delivery: OnDelivery = lambda deliver, properties, body: None
        self.on_cancelled: Callable[[str], None] = lambda tag: None
        self._replies = _Replies()
        self.rpc_frames = self._replies  # type: ignore[assignment]
        self.frames = _Sieve(self, self.frames)  # type: ignore[assignment]
        self._sending = asyncio.Lock()
        self._content: Basic.Deliver | Basic.Return | None = None
        self._header: ContentHeader | None = None
        self._body: list[bytes] = []
        self._body_left = 0
        self._last_tag = 0
        self._unconfirmed: dict[int, tuple[Post, _Batch]] = {}
        self._tag_of: dict[str, int] = {}
        self._closing.add_done_callback(self._on_closed)
        self.on_consumer_cancel_callbacks.add(self._note_cancel)

    @classmethod
    async def open_on(cls, connection: Connection, *, confirms: bool) -> WireChannel:
        """Open a channel; not bounded."""
        number = 1
        while number in connection.channels:
            number += 1
        channel = cls(connection, number, confirms=confirms)
        connection.channels[number] = channel
        await channel.open()
        return channel

    def _note_cancel(self, frame: Basic.Cancel) -> None:
        self.on_cancelled(frame.consumer_tag or "")

    def _on_closed(self, closing: asyncio.Future[Any]) -> None:
        error = None if closing.cancelled() else closing.exception()
        if not isinstance(error, Exception):
            error = ConnectionError("the channel was closed")
        self._replies.fail(error)
        unconfirmed, self._unconfirmed = self._unconfirmed, {}
        for _, batch in unconfirmed.values():
            if not batch.done.done():
                batch.done.set_result(None)

    # What comes in.

    def take(self, frame: Any) -> bool:
        """Handle a frame at once if it is of a frequent kind; False if it isn't."""
        kind = type(frame)
        if kind is Basic.Deliver or kind is Basic.Return:
            self._content = frame
        elif kind is ContentHeader:
            self._header, self._body, self._body_left = frame, [], frame.body_size
            if not self._body_left:
                self._complete()
        elif kind is ContentBody:
            self._body.append(frame.value)
            self._body_left -= len(frame.value)
            if self._body_left <= 0:
                self._complete()
        elif kind is Basic.Ack or kind is Basic.Nack:
            self._confirm(frame.delivery_tag, bool(frame.multiple), stored=kind is Basic.Ack)
        else:
            return False
        return True

    def _complete(self) -> None:
        content, header, parts = self._content, self._header, self._body
        self._content, self._header, self._body = None, None, []
        if header is None:
            return
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        if isinstance(content, Basic.Deliver):
            self.on_delivery(content, header.properties, body)
        elif content is not None:
            tag = self._tag_of.get(header.properties.message_id or "")
            if tag is not None and tag in self._unconfirmed:
                self._unconfirmed[tag][0].returned = True

    def _confirm(self, tag: int, multiple: bool, *, stored: bool) -> None:
        if not multiple:
            self._confirm_one(tag, stored)
            return
        for earlier in list(self._unconfirmed):
            if earlier > tag:
                break
            self._confirm_one(earlier, stored)

    def _confirm_one(self, tag: int, stored: bool) -> None:
        entry = self._unconfirmed.pop(tag, None)
        if entry is None:
            return
        post, batch = entry
        post.confirmed = stored
        if self._tag_of.get(post.properties.message_id or "") == tag:
            del self._tag_of[post.properties.message_id or ""]
        batch.left -= 1
        if not batch.left and not batch.done.done():
            batch.done.set_result(None)

    # What goes out.

    async def _write(self, payload: bytes, *, wait: bool) -> None:
        drained = asyncio.get_running_loop().create_future() if wait else None
        closing = self._closing
        if closing.done():
            raise ConnectionError("the channel is closed")
        await self.write_queue.put(ChannelFrame(payload=payload, should_close=False, drain_future=drained))
        if drained is not None:
            await asyncio.wait({drained, closing}, return_when=asyncio.FIRST_COMPLETED)

    async def send(self, frames: Sequence[Frame], *, wait: bool = False) -> None:
        """Send frames that have no answer; `wait` until they are handed to the network."""
        async with self._sending:
            await self._write(b"".join([marshal(frame, self.number) for frame in frames]), wait=wait)

    async def call(
        self, frames: Sequence[Frame], answers: list[asyncio.Future[Frame]] | None = None
    ) -> list[Frame]:
        """Send frames that are answered, all at once, and return the answers in their order.

        answers: is filled with what is waited for, to tell afterwards what was answered.
        """
        if not frames:
            return []
        waiting = await self.ask(frames)
        if answers is not None:
            answers += waiting
        await asyncio.wait(waiting)
        return [answer.result() for answer in waiting]

    async def ask(self, frames: Sequence[Frame], first: Sequence[Frame] = ()) -> list[asyncio.Future[Frame]]:
        """The same without waiting for the answers. first: frames without an answer that go before."""
        payload = b"".join([marshal(frame, self.number) for frame in (*first, *frames)])
        async with self._sending:
            if self._closing.done():
                raise ConnectionError("the channel is closed")
            answers = [self._replies.expect() for _ in frames]
            try:
                await self._write(payload, wait=False)
            except BaseException:
                for answer in answers:
                    self._replies.forget(answer)
                raise
        return answers

    async def publish(self, posts: Sequence[Post]) -> None:
        """Send messages and wait until each is confirmed, returned or refused; what is known is in the posts.

        Cancelled or failed, the posts tell what was known by then: one that was `sent` without
        `confirmed` may be stored or not.
        """
        if not posts:
            return
        batch = _Batch(len(posts), asyncio.get_running_loop().create_future())
        async with self._sending:
            for chunk in self._chunks(posts):
                await self._post(chunk, batch)
        await batch.done

    def _chunks(self, posts: Sequence[Post]) -> list[list[Post]]:
        chunks: list[list[Post]] = [[]]
        size_bytes = 0
        for post in posts:
            if chunks[-1] and size_bytes + len(post.body) > _MOST_BYTES_AT_ONCE:
                chunks.append([])
                size_bytes = 0
            chunks[-1].append(post)
            size_bytes += len(post.body) + 100
        return chunks

    async def _post(self, posts: Sequence[Post], batch: _Batch) -> None:
        if self._closing.done():
            raise ConnectionError("the channel is closed")
        most = self.connection.connection_tune.frame_max - 8
        payload = b"".join([_marshal_post(post, self.number, most) for post in posts])
        first = self._last_tag + 1
        for post in posts:
            self._last_tag += 1
            self._unconfirmed[self._last_tag] = (post, batch)
            self._tag_of[post.properties.message_id or ""] = self._last_tag
        drained = asyncio.get_running_loop().create_future()
        frame = ChannelFrame(payload=payload, should_close=False, drain_future=drained)
        try:
            await self.write_queue.put(frame)
        except BaseException:
            # Nothing of it was sent: the numbers are used again.
            for post in posts:
                self._tag_of.pop(post.properties.message_id or "", None)
            for tag in range(first, self._last_tag + 1):
                self._unconfirmed.pop(tag, None)
            self._last_tag = first - 1
            raise
        for post in posts:
            post.sent = True
        await asyncio.wait({drained, self._closing}, return_when=asyncio.FIRST_COMPLETED)


@lru_cache(maxsize=1 << 14)
def _publish_frame(exchange: str, key: str, number: int) -> bytes:
    return marshal(commands.Basic.Publish(exchange=exchange, routing_key=key, mandatory=True), number)


def _marshal_post(post: Post, number: int, most: int) -> bytes:
    header = ContentHeader(0, len(post.body), post.properties)
    parts = [_publish_frame(post.exchange, post.key, number), marshal(header, number)]
    for start in range(0, len(post.body), most):
        part = post.body[start : start + most]
        parts += (struct.pack(">BHI", _BODY_FRAME, number, len(part)), part, _FRAME_END)
    return b"".join(parts)
