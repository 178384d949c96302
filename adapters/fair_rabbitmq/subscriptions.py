"""Which queues are consumed, and how much is fetched ahead of each."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection

from pamqp.base import Frame

from broker_core.errors import BrokerUnavailable
from fair_rabbitmq.buffers import Source
from fair_rabbitmq.consuming import Consumers
from fair_rabbitmq.errors import is_about_a_missing_queue
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.line import Line
from fair_rabbitmq.policies import Policies
from fair_rabbitmq.queues import Queues
from fair_rabbitmq.topology import Topology

log = logging.getLogger(__name__)

_REMOVING_SECONDS = 1.0
LEAVE_SECONDS = 3.0


class Subscriptions:
    """Lets the queues of all known customers be consumed, but for those that are to be left alone.

    `renew` and `replenish` are called by whoever holds the consumers' turn. on_change is called when
    there may be something that `renew` would find.
    """

    def __init__(
        self,
        journal: Journal,
        topology: Topology,
        policies: Policies,
        consumers: Consumers,
        queues: Queues,
        line: Line,
        quantum: int,
    ) -> None:
        self._journal = journal
        self._topology = topology
        self._policies = policies
        self._consumers = consumers
        self._queues = queues
        self._line = line
        self._quantum = quantum
        self._stale = True
        self._leaving: dict[str, float] = {}
        self._try_again_at = math.inf
        self.on_change: Callable[[], None] = lambda: None

    def look_anew(self) -> None:
        """Note that customers, policies or consumers have changed."""
        self._stale = True

    def ahead(self, source: Source) -> int:
        """Return how many messages of a source one visit takes, about.

        With no more ahead what is handed over together came together, in the order of its delivery tags, and
        is acked by one frame, which costs each queue one entry in its log.
        """
        return math.ceil(self._quantum * self._policies.weight(source.owner) / max(1.0, source.cost))

    async def renew(self, wanted: int) -> bool:
        """Consume what a receive of `wanted` may take from; tell whether anything may have changed by that.

        Raises BrokerUnavailable; it is to be called again then.
        """
        await self._consumers.open()
        if not self._stale and self._try_again_at >= time.monotonic():
            return False
        self._stale, self._try_again_at = False, math.inf
        try:
            try:
                await self._consume_changed(wanted)
            except BrokerUnavailable as error:
                if not is_about_a_missing_queue(error):
                    raise
                await self._consume_changed(wanted, look_first=True)
        except BaseException:
            self._stale = True
            raise
        return True

    async def replenish(self, need: int, exempt: Collection[Source]) -> None:
        """Fetch more of those that have no room for more and hold less than `need` of each customer."""
        exempt_ids = set(map(id, exempt))
        empty = [
            source
            for source in self._consumers.sources.values()
            if source.full
            and id(source) not in exempt_ids
            and source.tag is not None
            and source.outstanding >= source.prefetch
            and source.buffered < need
            and not self._skips(source.owner)
        ]
        if empty:
            await self._consumers.begin([(source, max(need, self.ahead(source))) for source in empty])

    def _skips(self, owner: str) -> bool:
        left_until = self._leaving.get(owner)
        if left_until is not None:
            if left_until > time.monotonic():
                self._try_again_at = min(self._try_again_at, left_until)
                return True
            del self._leaving[owner]
        source = self._consumers.sources.get(owner)
        if source is not None and source.broken_until and source.broken_until > time.monotonic():
            self._try_again_at = min(self._try_again_at, source.broken_until)
            return True
        return not self._topology.hashed_queues and self._policies.is_paused(owner)

    async def _consume_changed(self, wanted: int, *, look_first: bool = False) -> None:
        # look_first: ask which queues exist, even if consuming one that doesn't would end nobody's lease.
        consumers = self._consumers
        known = {one.name: one for one in self._journal.replica.customers()}
        ended: list[Source] = []
        for owner, source in list(consumers.sources.items()):
            one = known.get(owner)
            if one is None or one.oldest != source.generation:
                ended.append(source)
                del consumers.sources[owner]
            elif self._skips(owner):
                ended.append(source)
        if any(source.tag is not None for source in ended):
            await consumers.end(ended)
        fresh: list[Source] = []
        for owner in known:
            there = None if self._skips(owner) else self.source(owner)
            if there is not None and there.tag is None:
                fresh.append(there)
        fresh = await self._existing(fresh, look_first)
        if fresh:
            need = share(wanted, len(fresh))
            await consumers.begin([(source, max(need, self.ahead(source))) for source in fresh])

    async def _existing(self, sources: list[Source], look_first: bool) -> list[Source]:
        """Return those whose queue exists, and make anew what somebody else has deleted."""
        session = await self._consumers.open()
        if sources and (look_first or not session.is_idle):
            await self._queues.find_missing(sources)
        missing = [source for source in sources if source.missing]
        if not missing:
            return sources
        await self._journal.barrier()
        frames: list[Frame] = []
        made: list[Source] = []
        for source in missing:
            known = self._journal.replica.customer(source.owner)
            if known is None or known.oldest != source.generation:
                self._stale = True
            elif known.retired >= source.generation:
                # Whoever has removed it tells so in a moment.
                source.broken_until = self._try_again_at = time.monotonic() + _REMOVING_SECONDS
            else:
                frames += self._topology.frames_for(source.owner, source.generation)
                made.append(source)
        if made:
            await self._line.call(frames)
        for source in made:
            source.missing = False
            log.warning(
                "the queue of customer %r was deleted by somebody else: it is made anew, what was ready in "
                "it is lost, and what is leased or fetched from it can't be given back",
                source.owner,
            )
        gone = {id(source) for source in missing if source not in made}
        return [source for source in sources if id(source) not in gone]

    def source(self, owner: str) -> Source | None:
        """Return the owner's queue, consumed or not; None if it isn't known that there is one."""
        known = self._journal.replica.customer(owner)
        if known is None:
            return None
        source = self._consumers.sources.get(owner)
        if source is None:
            source = Source(owner, known.oldest, self._topology.queue(owner, known.oldest))
            self._consumers.sources[owner] = source
        return source

    async def leave(self, owner: str) -> None:
        """Consume this owner's queue no longer, for a few seconds at most; give back what came from it."""
        self._leaving[owner] = time.monotonic() + LEAVE_SECONDS
        source = self._consumers.sources.get(owner)
        if source is None:
            return
        async with self._consumers.turn:
            self._stale = True
            await self._consumers.end([source])

    def left_until(self, owner: str) -> float | None:
        """Return what `stay` needs, which tells this leaving from a later one; None if there is none."""
        return self._leaving.get(owner)

    def stay(self, owner: str, left_until: float | None) -> None:
        """Consume the owner's queue again, unless it was left anew."""
        if left_until is not None and self._leaving.get(owner) == left_until:
            del self._leaving[owner]
            self._stale = True
            self.on_change()


def share(n: int, customers: int) -> int:
    """Return how many messages of each customer a receive of n will need, about."""
    return math.ceil(n / max(1, customers))
