"""Requests between the dispatchers of a namespace: each has an inbox that ends with its connection."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pamqp.commands import Basic, Queue

from broker_core.errors import BrokerFull, BrokerUnavailable, Closed, DispatcherError
from fair_rabbitmq.alarm import full
from fair_rabbitmq.connection import Connections
from fair_rabbitmq.ending import begin, end_tasks
from fair_rabbitmq.errors import CLIENT_ERRORS, to_dispatcher_error
from fair_rabbitmq.journal.events import Gone
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.line import Line
from fair_rabbitmq.topology import Topology
from fair_rabbitmq.wire import Post, WireChannel

log = logging.getLogger(__name__)

Request = dict[str, Any]
Handler = Callable[[Request], Awaitable[Request]]

_QUICK_SECONDS = 0.3
_PAUSE_SECONDS = 0.2


class Peers:
    """Asks other dispatchers and answers them. A dispatcher without a connection is gone to the others."""

    def __init__(self, connections: Connections, topology: Topology, journal: Journal) -> None:
        self._connections = connections
        self._topology = topology
        self._journal = journal
        self._line = Line(connections.publisher, confirms=True)
        self._handlers: dict[str, Handler] = {}
        self._waiting: dict[str, asyncio.Future[Request]] = {}
        self._silent: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeping: asyncio.Task[None] | None = None
        self._channel: WireChannel | None = None

    def handle(self, topic: str, handler: Handler) -> None:
        """Answer requests about this; a handler that raises DispatcherError tells so."""
        self._handlers[topic] = handler

    # The inbox.

    async def start(self) -> None:
        """Make the inbox. Raises BrokerUnavailable."""
        await self._open_inbox()
        self._keeping = asyncio.create_task(self._keep_inbox(), name="fair-dispatcher-inbox")

    async def _open_inbox(self) -> None:
        channel = await self._connections.consumer.open_channel(confirms=False)
        channel.on_delivery = self._on_delivery
        inbox = self._topology.inbox(self._journal.dispatcher)
        try:
            async with asyncio.timeout(self._connections.consumer.timeout_seconds):
                await channel.call(
                    [
                        Queue.Declare(queue=inbox, exclusive=True, auto_delete=True),
                        Basic.Consume(queue=inbox, consumer_tag="inbox", no_ack=True),
                    ]
                )
        except CLIENT_ERRORS as error:
            raise to_dispatcher_error(error) from error
        self._channel = channel

    async def _keep_inbox(self) -> None:
        while True:
            if self._channel is not None:
                await asyncio.wait({self._channel.closing})
                self._channel = None
            try:
                await self._open_inbox()
            except DispatcherError as error:
                log.debug("no inbox for now: %s", error)
                await asyncio.sleep(_PAUSE_SECONDS)

    def _on_delivery(self, deliver: Basic.Deliver, properties: Basic.Properties, body: bytes) -> None:
        try:
            message = json.loads(body)
            number, topic = str(message["number"]), str(message["topic"])
        except (ValueError, KeyError, TypeError):
            return
        if topic == "answer":
            self._silent.discard(str(message.get("from")))
            future = self._waiting.get(number)
            if future is not None and not future.done():
                future.set_result(message)
            return
        task = asyncio.create_task(self._answer(number, topic, message), name="fair-dispatcher-answer")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: str, topic: str, message: Request) -> None:
        handler = self._handlers.get(topic)
        try:
            answer = await handler(message["body"]) if handler is not None else {}
            answer["ok"] = True
        except DispatcherError as error:
            answer = {"ok": False, "why": str(error)}
        try:
            await self._send([str(message["from"])], number, "answer", answer)
        except DispatcherError as error:
            log.debug("a peer gets no answer: %s", error)

    # Asking.

    async def _publish(self, posts: Sequence[Post]) -> None:
        channel = await self._line.channel()
        publishing = begin(channel.publish(posts))
        try:
            # An alarm that begins now keeps the answers out as well.
            bounded = self._connections.publisher.bounded
            if not await bounded(channel.connection, self._connections.alarm.first(publishing)):  # type: ignore[arg-type]
                raise full()
        finally:
            publishing.cancel()

    async def _send(self, dispatchers: list[str], number: str, topic: str, body: Request) -> list[str]:
        """Send to inboxes; return the dispatchers that have none."""
        message: Request = {"number": number, "topic": topic, "from": self._journal.dispatcher}
        message.update(body if topic == "answer" else {"body": body})
        data = json.dumps(message).encode()
        posts = []
        for place, dispatcher in enumerate(dispatchers):
            properties = Basic.Properties(message_id=f"{number}-{place}", delivery_mode=1)
            posts.append(Post("", self._topology.inbox(dispatcher), properties, data))
        await self._publish(posts)
        return [name for name, post in zip(dispatchers, posts, strict=True) if post.returned]

    async def request(self, dispatcher: str, topic: str, body: Request) -> Request | None:
        """Ask one dispatcher; None when it is gone. Raises BrokerUnavailable without an answer in time."""
        self._connections.alarm.check()
        number = secrets.token_hex(8)
        future: asyncio.Future[Request] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            if await self._send([dispatcher], number, topic, body):
                return None
            async with asyncio.timeout(self._connections.publisher.timeout_seconds):
                answer = await future
        except TimeoutError as error:
            raise BrokerUnavailable("the dispatcher that owns the lease doesn't answer in time") from error
        finally:
            del self._waiting[number]
        if not answer.get("ok"):
            raise BrokerUnavailable(
                f"the dispatcher that owns the lease can't do it now: {answer.get('why')}"
            ) from Closed()
        return answer

    async def ask_all(self, topic: str, body: Request | None = None) -> list[Request]:
        """Ask all that live; return what is answered soon. Who doesn't answer isn't waited for again.

        Under an alarm nobody can be asked: nothing is returned.
        """
        me = self._journal.dispatcher
        names = [name for name in self._journal.replica.writers.live() if name != me]
        if not names or self._connections.alarm.is_on:
            return []
        loop = asyncio.get_running_loop()
        number = secrets.token_hex(8)
        numbers = {name: f"{number}{place:04x}" for place, name in enumerate(names)}
        futures: dict[str, asyncio.Future[Request]] = {name: loop.create_future() for name in names}
        self._waiting.update({numbers[name]: future for name, future in futures.items()})
        try:
            try:
                gone = await self._send_each(numbers, topic, body or {})
            except BrokerFull:
                return []
            for name in gone:
                self._journal.append_soon(Gone(name))
                self._silent.discard(name)
            asked = {futures[name] for name in names if name not in gone and name not in self._silent}
            if asked:
                await asyncio.wait(asked, timeout=_QUICK_SECONDS)
            self._silent |= {n for n in names if n not in gone and not futures[n].done()}
        finally:
            for one in numbers.values():
                del self._waiting[one]
        return [future.result() for future in futures.values() if future.done() and future.result().get("ok")]

    async def _send_each(self, numbers: dict[str, str], topic: str, body: Request) -> set[str]:
        posts = {}
        for name, number in numbers.items():
            message = {"number": number, "topic": topic, "from": self._journal.dispatcher, "body": body}
            properties = Basic.Properties(message_id=number, delivery_mode=1)
            posts[name] = Post("", self._topology.inbox(name), properties, json.dumps(message).encode())
        await self._publish(list(posts.values()))
        return {name for name, post in posts.items() if post.returned}

    async def close(self) -> None:
        """End all tasks. Idempotent, quick."""
        await end_tasks([*self._tasks, *([self._keeping] if self._keeping else [])])
