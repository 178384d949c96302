"""Consumers of the customers' queues, as long as somebody receives; what they bring waits in buffers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import count

from pamqp.base import Frame
from pamqp.commands import Basic

from broker_core.errors import BrokerUnavailable, DispatcherError
from fair_rabbitmq.buffers import Arrival, Buffers, Source
from fair_rabbitmq.connection import Link
from fair_rabbitmq.errors import is_about_a_missing_queue
from fair_rabbitmq.queues import Queues
from fair_rabbitmq.records import Ids, Stored, read
from fair_rabbitmq.session import Session

log = logging.getLogger(__name__)

_FEWEST_AHEAD = 8
_MOST_AHEAD = 1000
_REFILL_SECONDS = 0.5
_BROKEN_SECONDS = 30.0
_QUIET_SECONDS = 0.1
_FRAMES_AT_ONCE = 500


class Consumers:
    """Consumes queues over one session and keeps what came until it is taken or given back.

    on_arrival is called with the customer of whatever comes, on_lost when a session is lost with all
    that came over it, on_cancelled when the broker has ended a consumer since its queue is deleted.
    Its methods are not to be called at the same time as one another: whoever may meet others holds `turn`.
    """

    def __init__(
        self,
        link: Link,
        queues: Queues,
        published_here: Ids,
        max_buffered: int,
        on_arrival: Callable[[str], None],
        on_lost: Callable[[Session], None],
        on_cancelled: Callable[[], None],
    ) -> None:
        self._link = link
        self._queues = queues
        self._published_here = published_here
        self._max_buffered = max_buffered
        self._on_arrival = on_arrival
        self._on_lost = on_lost
        self._tell_cancelled = on_cancelled
        self._session: Session | None = None
        self._by_tag: dict[str, Source] = {}
        self._tags = count(1)
        self.sources: dict[str, Source] = {}  # owner → its queue
        self.buffers = Buffers()
        self.arrived = 0
        self.turn = asyncio.Lock()
        self._came = asyncio.Event()

    @property
    def session(self) -> Session | None:
        """The present session, None if there is none that lives."""
        return self._session if self._session is not None and self._session.alive else None

    async def open(self) -> Session:
        """Return a session that lives. Bounded; raises BrokerUnavailable."""
        session = self.session
        if session is not None:
            return session
        if self._session is not None:
            self._lose(self._session)
        channel = await self._link.open_channel(confirms=False)
        session = Session(self._link, channel)
        channel.on_delivery = lambda deliver, properties, body: self._take_in(
            session, deliver, properties, body
        )
        channel.on_cancelled = self._on_cancelled
        channel.closing.add_done_callback(lambda _: self._lose(session))
        self._session = session
        return session

    def _lose(self, session: Session) -> None:
        if self._session is not session:
            return
        self._session = None
        for source in self.sources.values():
            source.left()
        self._by_tag.clear()
        self.buffers.lose()
        self._came.set()
        self._on_lost(session)

    def _on_cancelled(self, tag: str) -> None:
        source = self._by_tag.pop(tag, None)
        if source is not None and source.tag == tag:
            source.left()
            source.missing = True
            self._tell_cancelled()

    @property
    def is_active(self) -> bool:
        """Whether any queue is consumed."""
        return any(source.tag is not None for source in self.sources.values())

    # What comes.

    def _take_in(
        self, session: Session, deliver: Basic.Deliver, properties: Basic.Properties, body: bytes
    ) -> None:
        tag = deliver.consumer_tag or ""
        source = self._by_tag.get(tag)
        if source is None or session is not self._session:
            return  # given back by the broker when the session ends
        stored = read(properties, body)
        decodable = stored is not None
        if stored is None:
            stored = Stored(f"0-{deliver.delivery_tag}-{source.generation:010x}", source.owner, 0, "", body)
        arrival = Arrival(
            source, session, tag, deliver.delivery_tag or 0, bool(deliver.redelivered), stored, decodable
        )
        session.note(arrival)
        if deliver.redelivered:
            self._queues.came_again(source.queue)
        elif not stored.came and self._published_here.made(stored.id):
            source.newest = stored.id
            source.give_up(stored.id)
        source.cost += (stored.cost - source.cost) / 8
        if tag == source.tag:
            source.outstanding += 1
            if source.outstanding >= source.prefetch:
                source.full = True
        self.buffers.add(arrival)
        self.arrived += 1
        self._came.set()
        self._on_arrival(stored.customer)

    def put_back(self, arrivals: Iterable[Arrival]) -> None:
        """Put in again what was taken and not handed over; what was lost meanwhile is left out."""
        for arrival in arrivals:
            if arrival.session.holds(arrival) and arrival.session is self._session:
                self.buffers.put_back(arrival)
                self._on_arrival(arrival.customer)

    # Beginning and ending.

    def _ahead(self, source: Source, wanted: int, consumed: int, granted: int) -> int:
        """Bound how many messages of a source are fetched ahead.

        Half of what may be held is shared by all, the other half is for those that turned out to be busy:
        many that are idle shouldn't make each visit of a few take several round trips.
        """
        most = self._max_buffered // (2 * consumed)
        if source.tag is not None:
            most = max(most, self._max_buffered - granted)
        return max(1, min(max(wanted, _FEWEST_AHEAD), _MOST_AHEAD, most))

    async def begin(self, sources: Sequence[tuple[Source, int]]) -> None:
        """Consume these queues, each fetching so much ahead, anew where they are consumed already.

        Returns when all that was ready, as far as there is room for it, is in the buffers.
        """
        if not sources:
            return
        session = await self.open()
        replaced = [source.tag for source, _ in sources if source.tag is not None]
        before = [source.prefetch for source in self.sources.values() if source.tag is not None]
        consumed, granted = len(before) + len(sources) - len(replaced), sum(before)
        for start in range(0, len(sources), _FRAMES_AT_ONCE):
            part = sources[start : start + _FRAMES_AT_ONCE]
            frames: list[Frame] = []
            owners: list[Source] = []
            for source, wanted in sorted(part, key=lambda one: one[1]):
                if source.tag is not None:
                    frames.append(Basic.Cancel(consumer_tag=source.tag))
                    granted -= source.prefetch
                prefetch = self._ahead(source, wanted, consumed, granted)
                granted += prefetch
                if prefetch != session.prefetch:
                    session.prefetch = prefetch
                    frames.append(Basic.Qos(prefetch_count=prefetch))
                tag = f"c{next(self._tags)}"
                source.consumed_as(tag, prefetch)
                self._by_tag[tag] = source
                frames.append(Basic.Consume(queue=source.queue, consumer_tag=tag))
                owners += [source] * (len(frames) - len(owners))
            await self._call_for(session, frames, owners)
        await self._until_settled([source for source, _ in sources])
        for old in replaced:
            self._by_tag.pop(old, None)

    async def _call_for(self, session: Session, frames: Sequence[Frame], owners: Sequence[Source]) -> None:
        """Call, and if an answer doesn't come leave the queue alone that it is about: others may be well."""
        answered: list[asyncio.Future[Frame]] = []
        try:
            await session.call(frames, answered)
        except BrokerUnavailable as error:
            if isinstance(error.__cause__, TimeoutError) and answered and answered[0].done():
                stuck = next((o for o, a in zip(owners, answered, strict=False) if not a.done()), None)
                if stuck is not None:
                    log.warning("the broker can't serve one of the queues: it is left alone for a while")
                    stuck.broken_until = time.monotonic() + _BROKEN_SECONDS
            if is_about_a_missing_queue(error):
                for owner, answer in zip(owners, answered, strict=False):
                    if answer.done() and answer.exception() is not None:
                        owner.missing = True
                        break
            raise

    async def _until_settled(self, sources: Sequence[Source]) -> None:
        """Return when each source has brought something, or its queue is known to be empty."""
        until = time.monotonic() + _REFILL_SECONDS
        waiting = list(sources)
        while waiting:
            awaited = [source.awaited for source in waiting]
            counts = await self._queues.ready_counts([source.queue for source in waiting])
            session = await self.open()
            await session.sync()
            left = []
            for source, ready, expected in zip(waiting, counts, awaited, strict=True):
                if not ready and source.outstanding < source.prefetch:
                    source.full = False
                    source.give_up(expected)
                elif ready and (not source.buffered or (source.awaited is not None and source.has_room)):
                    left.append(source)
            waiting = [source for source in left if source.tag is not None]
            if not waiting or time.monotonic() > until:
                return
            self._came.clear()
            try:
                async with asyncio.timeout(0.005):
                    await self._came.wait()
            except TimeoutError:
                continue

    async def until_arrived(self, total: int) -> None:
        """Return when so many messages have arrived in all, or no more are coming; others may get some."""
        while self.arrived < total:
            self._came.clear()
            try:
                async with asyncio.timeout(_QUIET_SECONDS):
                    await self._came.wait()
            except TimeoutError:
                return

    async def refill(self, sources: Sequence[tuple[Source, int]], *, is_alone: bool) -> None:
        """Return when each source's buffer holds something again, and what is awaited, or its queue is empty.

        For many at once: a few round trips for all of them. is_alone: whether nobody else consumes.
        """
        if any(source.awaited for source, _ in sources):
            await self._until_pushed([source for source, _ in sources], is_alone)
        asleep = [source for source, _ in sources if source.has_room and (source.lacks or source.awaited)]
        if asleep:
            await self._until_settled(asleep)
        await self.begin([(source, wanted) for source, wanted in sources if source.lacks])

    async def _until_pushed(self, sources: Sequence[Source], is_alone: bool) -> None:
        """Return when what the broker has sent is here: all that is awaited, almost certainly.

        What hasn't come then others will have got, if there are any; asking each queue would cost them more
        than it is worth.
        """
        awaited = [source.awaited for source in sources]
        await (await self.open()).sync()
        if not is_alone:
            for source, expected in zip(sources, awaited, strict=True):
                source.give_up(expected)

    async def end(self, sources: Sequence[Source] | None = None) -> int:
        """Consume these queues, or all, no longer, and give back what came from them, at its old place.

        Returns how many messages that were.
        """
        session = self.session
        if session is None:
            return 0
        ending = [s for s in (self.sources.values() if sources is None else sources) if s.tag is not None]
        tags = [source.tag for source in ending if source.tag is not None]
        for source in ending:
            source.left()
        for start in range(0, len(tags), _FRAMES_AT_ONCE):
            await session.call(
                [Basic.Cancel(consumer_tag=tag) for tag in tags[start : start + _FRAMES_AT_ONCE]]
            )
        if tags:
            await session.sync()
        returned = self.buffers.remove(sources)
        for tag in tags:
            self._by_tag.pop(tag, None)
        await session.requeue(returned)
        self._queues.note_returned(returned)
        return len(returned)

    async def close(self) -> None:
        """Give everything back, quickly or not at all. Never raises."""
        try:
            async with asyncio.timeout(0.3):
                await self.end()
        except (DispatcherError, TimeoutError):
            log.debug("what was fetched ahead is given back by the end of the connection")
