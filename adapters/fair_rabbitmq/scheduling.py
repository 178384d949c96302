"""Whose message is next: deficit round robin over what this dispatcher has fetched ahead."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from pamqp.base import Frame

from broker_core.errors import BrokerUnavailable
from broker_core.fairness import DeficitRoundRobin
from broker_core.model import CustomerPolicy
from fair_rabbitmq.buffers import Arrival, Source
from fair_rabbitmq.consuming import Consumers, share
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.leases import Recent
from fair_rabbitmq.line import Line
from fair_rabbitmq.queues import Queues
from fair_rabbitmq.records import place_of
from fair_rabbitmq.session import by_session
from fair_rabbitmq.topology import Topology

log = logging.getLogger(__name__)

_SWEPT = 100
_REMOVING_SECONDS = 1.0
_LEAVE_SECONDS = 3.0


class _MayHaveMore(Exception):
    """It is the turn of a customer that has nothing here, and perhaps something in its queue."""


class Scheduler:
    """Takes messages out of the queues of all known customers, one `gather` at a time.

    The ring outlives the buffers: who was to be served next still is after a pause or an outage.
    """

    def __init__(
        self,
        journal: Journal,
        topology: Topology,
        consumers: Consumers,
        queues: Queues,
        line: Line,
        quantum: int,
    ) -> None:
        self._journal = journal
        self._topology = topology
        self._consumers = consumers
        self._buffers = consumers.buffers
        self._queues = queues
        self._line = line
        self._quantum = quantum
        self._ring = DeficitRoundRobin(quantum, self._weight)
        self._newcomers: set[str] = set()
        self._unsure: dict[str, Source] = {}  # in the ring without a message here; their queues may have more
        self._stale = True
        self._leaving: dict[str, float] = {}
        self._try_again_at = math.inf
        self.on_change: Callable[[], None] = lambda: None
        self.turn = asyncio.Lock()
        self.is_one_of_many: Callable[[], bool] = lambda: False
        self.stays_here: Callable[[], bool] = lambda: False

    def _policy(self, customer: str) -> CustomerPolicy | None:
        return self._journal.replica.policy(customer)

    def _weight(self, customer: str) -> int:
        policy = self._policy(customer)
        return policy.weight if policy is not None and policy.weight is not None else 1

    def _is_paused(self, customer: str) -> bool:
        policy = self._policy(customer)
        return policy is not None and bool(policy.paused)

    def has_news_of(self, customer: str) -> None:
        """Note that something of the customer may have come."""
        if customer not in self._ring:
            self._newcomers.add(customer)

    def look_anew(self) -> None:
        """Note that customers, policies or consumers have changed."""
        self._stale = True

    async def gather(self, wanted: int) -> list[Arrival]:
        """Take up to `wanted` messages in the order of the schedule; [] when nothing is ready here."""
        async with self.turn:
            await self._consume_all(wanted)
            taken: list[Arrival] = []
            try:
                await self._choose(wanted, taken)
            except BaseException:
                self.put_back(taken)
                raise
            return taken

    async def _choose(self, wanted: int, taken: list[Arrival]) -> None:
        buffers = self._buffers
        while len(taken) < wanted:
            self._join_newcomers()
            try:
                customer = self._ring.next_customer(self._head_cost)
            except _MayHaveMore:
                await self._look_into_queues(wanted - len(taken))
                continue
            if customer is None:
                return
            arrival = buffers.take(customer)
            taken.append(arrival)
            if arrival.decodable:
                self._ring.charge(arrival.stored.cost)
            if buffers.by_customer[customer]:
                continue
            if not arrival.source.full or self._is_paused(customer):
                self._leave_ring(customer)
                continue
            self._unsure[customer] = arrival.source

    async def _look_into_queues(self, wanted: int) -> None:
        """Find out which of the customers whose last message was taken have more; the others leave.

        Of all at once, when the turn of one of them comes: one at a time a round trip each would be spent.
        """
        left, known = share(wanted, len(self._ring)), self._consumers.sources
        sources = {id(one): one for one in self._unsure.values() if known.get(one.owner) is one}
        await self._consumers.refill(
            [(source, max(left, self._ahead(source.owner))) for source in sources.values()]
        )
        unsure, self._unsure = self._unsure, {}
        for customer in unsure:
            if not self._buffers.by_customer.get(customer):
                self._leave_ring(customer)

    def _leave_ring(self, customer: str) -> None:
        self._ring.leave(customer)
        self._buffers.by_customer.pop(customer, None)

    def _head_cost(self, customer: str) -> int | None:
        buffer = self._buffers.by_customer.get(customer)
        head = buffer.head() if buffer is not None else None
        if self._is_paused(customer):
            return None
        if head is None:
            if customer in self._unsure or self._is_late(customer):
                raise _MayHaveMore
            return None
        return head.stored.cost

    def _is_late(self, customer: str) -> bool:
        """Tell whether a slow broker hasn't said yet if the customer has something; then look once more."""
        source = self._consumers.sources.get(customer)
        if source is None or source.tag is None or not source.full:
            return False
        self._unsure[customer] = source
        return True

    def _join_newcomers(self) -> None:
        if not self._newcomers:
            return
        heads = []
        for customer in self._newcomers:
            buffer = self._buffers.by_customer.get(customer)
            head = buffer.head() if buffer is not None else None
            if head is not None and not self._is_paused(customer):
                heads.append((place_of(head.id), customer))
        self._newcomers.clear()
        heads.sort()
        if not len(self._ring) and self.is_one_of_many():
            # Dispatchers that begin at the same time shouldn't all serve the same customer first.
            start = random.randrange(len(heads)) if heads else 0  # noqa: S311
            heads = heads[start:] + heads[:start]
        for _, customer in heads:
            self._ring.join(customer)

    def _ahead(self, customer: str) -> int:
        source = self._consumers.sources.get(self._topology.owner_of(customer))
        cost = max(1.0, source.cost) if source is not None else 1.0
        # No more than one visit takes: then what is handed over together came together, in the order of its
        # delivery tags, and is acked by one frame, which costs each queue one entry in its log.
        return math.ceil(self._quantum * self._weight(customer) / cost)

    async def _consume_all(self, wanted: int) -> None:
        consumers = self._consumers
        await consumers.open()
        if self._stale or self._try_again_at < time.monotonic():
            self._stale, self._try_again_at = False, math.inf
            try:
                await self._consume_changed(wanted)
            except BaseException:
                self._stale = True
                raise
        need = share(wanted, len(self._ring) + len(self._newcomers))
        # These may have been acked by the time that it is their turn, and more may have come by itself.
        unsure = {id(source) for source in self._unsure.values()}
        empty = [
            source
            for source in consumers.sources.values()
            if source.full
            and id(source) not in unsure
            and source.tag is not None
            and source.outstanding >= source.prefetch
            and source.buffered < need
            and not self._skips(source.owner)
        ]
        if empty:
            await consumers.begin([(source, max(need, self._ahead(source.owner))) for source in empty])

    def _skips(self, owner: str) -> bool:
        if self._leaving and self._leaving.get(owner, 0.0) > time.monotonic():
            return True
        source = self._consumers.sources.get(owner)
        if source is not None and source.broken_until and source.broken_until > time.monotonic():
            self._try_again_at = min(self._try_again_at, source.broken_until)
            return True
        return not self._topology.hashed_queues and self._is_paused(owner)

    async def _consume_changed(self, wanted: int) -> None:
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
            there = None if self._skips(owner) else self._source(owner)
            if there is not None and there.tag is None:
                fresh.append(there)
        fresh = await self._existing(fresh)
        if fresh:
            need = share(wanted, len(fresh))
            await consumers.begin([(source, max(need, self._ahead(source.owner))) for source in fresh])
        for customer, buffer in self._buffers.by_customer.items():
            if buffer:
                self.has_news_of(customer)

    async def _existing(self, sources: list[Source]) -> list[Source]:
        """Return those whose queue exists, and make anew what somebody else has deleted."""
        consumers = self._consumers
        session = await consumers.open()
        if sources and not session.is_idle:
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

    def put_back(self, arrivals: Sequence[Arrival]) -> None:
        """Put in again what was taken and not handed over, as if it had not been taken."""
        self.refund(arrivals)
        self._consumers.put_back(arrivals)

    def refund(self, arrivals: Sequence[Arrival]) -> None:
        """Give their customers back what these cost, which are lost before they were handed over."""
        for arrival in reversed(arrivals):
            if arrival.decodable:
                self._ring.refund(arrival.customer, arrival.stored.cost)

    async def probe(self) -> None:
        """Return when what the broker sent by now is here; notices a connection that is dead."""
        await (await self._consumers.open()).sync()

    async def give_back(self) -> int:
        """Consume nothing for now and give back what was fetched ahead; return how many that was."""
        async with self.turn:
            self._stale = True
            return await self._consumers.end()

    async def ask_back(self, ask: Callable[[], Awaitable[list[dict[str, Any]]]]) -> None:
        """Let others give back what they keep for nobody, and return when that is here."""
        before = self._consumers.arrived
        returned = sum(int(answer.get("returned", 0)) for answer in await ask())
        if returned:
            async with self.turn:
                await self._consumers.until_arrived(before + returned)

    async def make_ready(self, arrivals: Sequence[Arrival]) -> None:
        """Make messages ready that were handed over, at their old places.

        While this dispatcher is alone and receives they stay here; else they go back into their queue,
        together with what came after them, for whoever waits.
        """
        consumed = [one for one in arrivals if one.source.tag is not None and one.session.holds(one)]
        if self.stays_here():
            self._consumers.put_back(consumed)
        elif consumed:
            async with self.turn:
                self._consumers.put_back(consumed)
                self._stale = True
                await self._consumers.end(list({id(one.source): one.source for one in consumed}.values()))
        kept = set(map(id, consumed))
        for session, theirs in by_session([one for one in arrivals if id(one) not in kept]).items():
            try:
                await session.requeue(theirs)
                self._queues.note_returned(theirs)
            except BrokerUnavailable:
                if session.alive:
                    raise
                # The end of the session has given them back.

    async def sweep(self, customers: Iterable[str], finished: Recent) -> None:
        """Remove from the front of these customers' queues what is finished already."""
        consumers = self._consumers
        async with self.turn:
            await consumers.open()
            wanted = []
            for owner in {self._topology.owner_of(customer) for customer in customers}:
                source = self._source(owner)
                if source is not None:
                    wanted.append(source)
            await consumers.begin([(source, _SWEPT) for source in wanted if source.tag is None])
            for customer in customers:
                arrivals = self._buffers.clear(customer)
                left_over = [one for one in arrivals if one.redelivered and one.id in finished]
                consumers.put_back([one for one in arrivals if not (one.redelivered and one.id in finished)])
                for session, theirs in by_session(left_over).items():
                    await session.ack(theirs)
            if not self.stays_here():
                self._stale = True
                await consumers.end(wanted)

    def _source(self, owner: str) -> Source | None:
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
        self._leaving[owner] = time.monotonic() + _LEAVE_SECONDS
        source = self._consumers.sources.get(owner)
        if source is None:
            return
        async with self.turn:
            self._stale = True
            await self._consumers.end([source])

    def stay(self, owner: str) -> None:
        """Consume the owner's queue again."""
        if self._leaving.pop(owner, None) is not None:
            self._stale = True
            self.on_change()

    def forfeit(self, customers: Iterable[str]) -> None:
        """Drop the credit of customers whose messages were taken away."""
        for customer in customers:
            self._ring.forfeit(customer)
