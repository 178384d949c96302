"""Whose message is next: deficit round robin over what this dispatcher has fetched ahead."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from broker_core.errors import BrokerUnavailable
from broker_core.fairness import DeficitRoundRobin
from fair_rabbitmq.buffers import Arrival, Source
from fair_rabbitmq.consuming import Consumers
from fair_rabbitmq.leases import Recent
from fair_rabbitmq.policies import Policies
from fair_rabbitmq.queues import Queues
from fair_rabbitmq.records import place_of
from fair_rabbitmq.session import by_session
from fair_rabbitmq.subscriptions import Subscriptions, share
from fair_rabbitmq.topology import Topology

_SWEPT = 100
# What is published here without end could be waited for without end.
_CHOOSING_SECONDS = 0.1


class _MayHaveMore(Exception):
    """It is the turn of a customer that has nothing here, and perhaps something in its queue."""


class Scheduler:
    """Takes messages out of the queues of all known customers, one `gather` at a time.

    The ring outlives the buffers: who was to be served next still is after a pause or an outage.
    """

    def __init__(
        self,
        topology: Topology,
        policies: Policies,
        consumers: Consumers,
        subscriptions: Subscriptions,
        queues: Queues,
        quantum: int,
    ) -> None:
        self._topology = topology
        self._policies = policies
        self._consumers = consumers
        self._buffers = consumers.buffers
        self._subscriptions = subscriptions
        self._queues = queues
        self._ring = DeficitRoundRobin(quantum, policies.weight)
        self._newcomers: set[str] = set()
        self._unsure: dict[str, Source] = {}  # in the ring without a message here; their queues may have more
        self.is_one_of_many: Callable[[], bool] = lambda: False
        self.is_alone: Callable[[], bool] = lambda: True
        self.stays_here: Callable[[], bool] = lambda: False

    def has_news_of(self, customer: str) -> None:
        """Note that something of the customer may have come."""
        if customer not in self._ring:
            self._newcomers.add(customer)

    def expect(self, published: Mapping[str, str]) -> None:
        """Let customers take part whose messages this dispatcher has stored, though they come a moment later.

        published: customer → id of the last one.
        """
        for customer, message_id in published.items():
            source = self._source_of(customer)
            if source is not None and source.expects(message_id):
                self.has_news_of(customer)

    async def gather(self, wanted: int) -> list[Arrival]:
        """Take up to `wanted` messages in the order of the schedule; [] when nothing is ready here."""
        async with self._consumers.turn:
            if await self._subscriptions.renew(wanted):
                self._find_newcomers()
            # Those that are unsure may have been acked by the time that it is their turn, and more may have
            # come by itself.
            need = share(wanted, len(self._ring) + len(self._newcomers))
            await self._subscriptions.replenish(need, self._unsure.values())
            taken: list[Arrival] = []
            try:
                await self._choose(wanted, taken)
            except BaseException:
                self.put_back(taken)
                raise
            return taken

    def _find_newcomers(self) -> None:
        for customer, buffer in self._buffers.by_customer.items():
            if buffer:
                self.has_news_of(customer)

    async def _choose(self, wanted: int, taken: list[Arrival]) -> None:
        buffers = self._buffers
        until = time.monotonic() + _CHOOSING_SECONDS
        while len(taken) < wanted:
            self._join_newcomers()
            try:
                customer = self._ring.next_customer(self._head_cost)
            except _MayHaveMore:
                if taken and time.monotonic() > until:
                    return
                await self._look_into_queues(wanted - len(taken))
                continue
            if customer is None:
                return
            arrival = buffers.take(customer)
            self._unsure.pop(customer, None)
            taken.append(arrival)
            if arrival.decodable:
                self._ring.charge(arrival.stored.cost)
            if buffers.by_customer[customer]:
                continue
            if not arrival.source.may_hold_more or self._policies.is_paused(customer):
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
            [(source, max(left, self._subscriptions.ahead(source))) for source in sources.values()],
            is_alone=self.is_alone(),
        )
        unsure, self._unsure = self._unsure, {}
        for customer in unsure:
            if not self._buffers.by_customer.get(customer):
                self._leave_ring(customer)

    def _leave_ring(self, customer: str) -> None:
        self._ring.leave(customer)
        self._buffers.by_customer.pop(customer, None)

    def _head_cost(self, customer: str) -> int | None:
        if self._policies.is_paused(customer):
            self._unsure.pop(customer, None)
            return None
        head = self._head(customer)
        if head is None:
            if customer in self._unsure or self._is_late(customer):
                raise _MayHaveMore
            return None
        return head.stored.cost

    def _is_late(self, customer: str) -> bool:
        """Tell whether a slow broker hasn't said yet if the customer has something; then look once more."""
        source = self._source_of(customer)
        if source is None or source.tag is None or not source.may_hold_more:
            return False
        self._unsure[customer] = source
        return True

    def _head(self, customer: str) -> Arrival | None:
        buffer = self._buffers.by_customer.get(customer)
        return buffer.head() if buffer is not None else None

    def _source_of(self, customer: str) -> Source | None:
        return self._consumers.sources.get(self._topology.owner_of(customer))

    def _join_newcomers(self) -> None:
        if not self._newcomers:
            return
        heads = []
        for customer in self._newcomers:
            if self._policies.is_paused(customer):
                continue
            head, source = self._head(customer), self._source_of(customer)
            if head is not None:
                heads.append((place_of(head.id), customer))
            elif source is not None and source.awaited is not None:
                heads.append((place_of(source.awaited), customer))
                self._unsure[customer] = source
        self._newcomers.clear()
        heads.sort()
        if not len(self._ring) and self.is_one_of_many():
            # Dispatchers that begin at the same time shouldn't all serve the same customer first.
            start = random.randrange(len(heads)) if heads else 0  # noqa: S311
            heads = heads[start:] + heads[:start]
        for _, customer in heads:
            self._ring.join(customer)

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
        async with self._consumers.turn:
            self._subscriptions.look_anew()
            return await self._consumers.end()

    async def ask_back(self, ask: Callable[[], Awaitable[list[dict[str, Any]]]]) -> None:
        """Let others give back what they keep for nobody, and return when that is here."""
        before = self._consumers.arrived
        returned = sum(int(answer.get("returned", 0)) for answer in await ask())
        if returned:
            async with self._consumers.turn:
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
            async with self._consumers.turn:
                self._consumers.put_back(consumed)
                self._subscriptions.look_anew()
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
        async with self._consumers.turn:
            await consumers.open()
            wanted = []
            for owner in {self._topology.owner_of(customer) for customer in customers}:
                source = self._subscriptions.source(owner)
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
                self._subscriptions.look_anew()
                await consumers.end(wanted)

    def forfeit(self, customers: Iterable[str]) -> None:
        """Drop the credit of customers whose messages were taken away."""
        for customer in customers:
            self._ring.forfeit(customer)
