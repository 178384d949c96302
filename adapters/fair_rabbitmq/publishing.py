"""Publishes batches: each message is confirmed, and is never stored twice without being recognised."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from broker_core import envelope
from broker_core.adapter import OutcomeUnknown
from broker_core.errors import BrokerFull, BrokerUnavailable, DispatcherError
from broker_core.model import Message
from fair_rabbitmq.alarm import full
from fair_rabbitmq.connection import Link
from fair_rabbitmq.ending import begin, end_tasks
from fair_rabbitmq.errors import CLIENT_ERRORS, NotSent, to_dispatcher_error
from fair_rabbitmq.line import Line
from fair_rabbitmq.parcel import Parcel
from fair_rabbitmq.records import CAME, RESENT, Ids, headers_of, properties_of, unpack
from fair_rabbitmq.registry import Registry
from fair_rabbitmq.topology import Topology
from fair_rabbitmq.wire import Post

Outcome = str | DispatcherError

PAUSES_SECONDS = (0.1, 0.3)
_MOST_RETURNS = 5


@dataclass(slots=True, eq=False)
class _Entry:
    """A message of a call. outcome: None until it is known."""

    message: Message
    id: str
    resent: bool = False
    outcome: asyncio.Future[Outcome] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Dedup:
    """What this publisher stored lately: (customer, Message.id) → the entry of its first message."""

    def __init__(self, window_seconds: float) -> None:
        self._window_seconds = window_seconds
        self._known: OrderedDict[tuple[str, str], tuple[float, _Entry]] = OrderedDict()

    def entry_for(self, message: Message, ids: Ids) -> tuple[_Entry, bool]:
        """Return the entry to wait for, and whether it has to be sent by the caller."""
        if message.id is None or not self._window_seconds:
            return _Entry(message, ids.next()), True
        now = time.monotonic()
        while self._known and next(iter(self._known.values()))[0] <= now:
            self._known.popitem(last=False)
        key = (message.customer, message.id)
        known = self._known.get(key)
        if known is not None:
            entry = known[1]
            if not entry.outcome.done() or isinstance(entry.outcome.result(), str):
                return entry, False
            # It may be stored or not: the same id again, so that a second copy is recognised.
            again = _Entry(
                message, entry.id, isinstance(entry.outcome.result(), OutcomeUnknown) or entry.resent
            )
            self._known[key] = (known[0], again)
            return again, True
        entry = _Entry(message, ids.next())
        self._known[key] = (now + self._window_seconds, entry)
        return entry, True


class Publisher:
    """Stores messages in their customers' queues; makes a queue for a customer's first message.

    on_publish is called with each owner for which something is about to be sent, on_stored with the
    customers for which something is stored and the id of their last one.
    """

    def __init__(
        self,
        link: Link,
        topology: Topology,
        registry: Registry,
        ids: Ids,
        dedup_window_seconds: float,
    ) -> None:
        self._link = link
        self._line = Line(link, confirms=True)
        self._topology = topology
        self._registry = registry
        self._ids = ids
        self._dedup = Dedup(dedup_window_seconds)
        self._sending: set[asyncio.Task[None]] = set()
        self.on_publish: Callable[[str], None] = lambda owner: None
        self.on_stored: Callable[[Mapping[str, str]], None] = lambda published: None

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Return an id or an error for each message; a customer's messages are stored in their order.

        It goes on in a task of its own when it is cancelled, so that a repetition finds its outcome.
        """
        entries: list[_Entry] = []
        mine: list[_Entry] = []
        for message in messages:
            entry, is_new = self._dedup.entry_for(message, self._ids)
            entries.append(entry)
            if is_new:
                mine.append(entry)
        if mine:
            task = asyncio.create_task(self._store(mine), name="fair-dispatcher-publish")
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
            await asyncio.shield(task)
        return [
            entry.outcome.result() if entry.outcome.done() else await asyncio.shield(entry.outcome)
            for entry in entries
        ]

    async def _store(self, entries: list[_Entry]) -> None:
        try:
            await self._send_all(entries)
        except asyncio.CancelledError:
            for entry in entries:
                if not entry.outcome.done():
                    entry.outcome.set_result(OutcomeUnknown("the dispatcher was closed during publish"))
            raise

    async def _send_all(self, entries: list[_Entry]) -> None:
        topology = self._topology
        posts: list[Post] = []
        owners: list[str] = []
        for entry in entries:
            headers = headers_of(entry.message)
            if entry.resent:
                headers[CAME] = RESENT
            owner = topology.owner_of(entry.message.customer)
            owners.append(owner)
            posts.append(
                Post(
                    topology.exchange,
                    topology.key(owner),
                    properties_of(entry.id, headers),
                    envelope.encode(entry.message),
                )
            )
        failure = await self.post(posts, owners)
        stored: dict[str, str] = {}
        for entry, post in zip(entries, posts, strict=True):
            if post.confirmed and not post.returned:
                entry.outcome.set_result(entry.id)
                stored[entry.message.customer] = entry.id
            else:
                entry.outcome.set_result(_why(post, failure))
        self.on_stored(stored)

    async def post(self, posts: list[Post], owners: list[str]) -> DispatcherError | None:
        """Store posts; return why those that are not confirmed aren't. Resends nothing that was sent."""
        alarm = self._link.alarm
        if alarm.is_on:
            return full()
        for owner in set(owners):
            self.on_publish(owner)
        for pause_seconds in (*PAUSES_SECONDS, None):
            try:
                if unknown := self._registry.unknown_of(owners):
                    await self._registry.ensure(unknown)
                await self._send(posts)
                for _ in range(_MOST_RETURNS):
                    returned = [place for place, post in enumerate(posts) if post.returned]
                    if not returned:
                        return None
                    await self._registry.ensure([owners[place] for place in returned])
                    for place in returned:
                        posts[place].returned, posts[place].confirmed, posts[place].sent = False, None, False
                    await self._send([posts[place] for place in returned])
            except DispatcherError as error:
                if alarm.is_on and not any(post.sent for post in posts):
                    return full()
                if any(post.sent for post in posts) or pause_seconds is None or not error.retryable:
                    return error
                await asyncio.sleep(pause_seconds)
        return BrokerUnavailable("the customer's queue was removed again and again")

    async def _send(self, posts: list[Post]) -> None:
        channel = await self._line.channel()
        wire = channel.connection
        publishing = begin(channel.publish(posts))
        try:
            async with asyncio.timeout(self._link.timeout_seconds):
                if not await self._link.alarm.first(publishing):
                    raise OutcomeUnknown("RabbitMQ has an alarm: it may store the message when that is over")
                publishing.result()
        except CLIENT_ERRORS as error:
            if isinstance(error, TimeoutError) and not any(post.confirmed for post in posts):
                self._link.drop(wire)  # type: ignore[arg-type]
            raise to_dispatcher_error(error) from error
        finally:
            publishing.cancel()
        self._link.alarm.confirmed()
        if any(post.confirmed is None for post in posts):
            raise BrokerUnavailable("the connection broke before RabbitMQ confirmed") from ConnectionError()

    async def republish(self, parcel: Parcel, came: str) -> None:
        """Put a message at the tail of its customer's queue again; raises DispatcherError."""
        properties, body = unpack(parcel, came)
        owner = self._topology.owner_of(parcel.customer)
        post = Post(self._topology.exchange, self._topology.key(owner), properties, body)
        failure = await self.post([post], [owner])
        if not post.confirmed or post.returned:
            raise _why(post, failure)

    async def close(self) -> None:
        """End what is under way. Idempotent, quick."""
        await end_tasks(self._sending)


def _why(post: Post, failure: DispatcherError | None) -> DispatcherError:
    if post.confirmed is False:
        return BrokerFull("RabbitMQ refused the message: its queue takes none now")
    if failure is None:
        return BrokerUnavailable("RabbitMQ found no queue for the message")
    if post.sent and not post.returned and not isinstance(failure, (NotSent, BrokerFull)):
        unknown = OutcomeUnknown(str(failure))
        unknown.__cause__ = failure.__cause__ or failure
        return unknown
    if isinstance(failure, OutcomeUnknown):
        return BrokerFull("not sent, since RabbitMQ has an alarm and takes no messages until it is over")
    return failure
