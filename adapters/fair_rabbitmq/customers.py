"""Policies, counts, listing and purging of customers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pamqp.commands import Queue

from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, Page
from fair_rabbitmq.alarm import full
from fair_rabbitmq.consuming import Consumers
from fair_rabbitmq.journal.events import PolicySet, Purged
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.leases import Leases
from fair_rabbitmq.line import Line
from fair_rabbitmq.peers import Peers, Request
from fair_rabbitmq.queues import Queues
from fair_rabbitmq.receiving import Receiver
from fair_rabbitmq.records import after_cursor, cursor_of
from fair_rabbitmq.scheduling import Scheduler
from fair_rabbitmq.settling import Settler
from fair_rabbitmq.topology import SHARED, Topology

# With more queues at hand than this, counting doesn't give back what is fetched ahead.
_FEW = 300


class Customers:
    """What the namespace knows of its customers."""

    def __init__(
        self,
        journal: Journal,
        topology: Topology,
        line: Line,
        consumers: Consumers,
        queues: Queues,
        scheduler: Scheduler,
        receiver: Receiver,
        settler: Settler,
        leases: Leases,
        peers: Peers,
    ) -> None:
        self._journal = journal
        self._topology = topology
        self._line = line
        self._consumers = consumers
        self._queues = queues
        self._scheduler = scheduler
        self._receiver = receiver
        self._settler = settler
        self._leases = leases
        self._peers = peers
        peers.handle("give back", self._give_back_for_peer)
        peers.handle("settle down", self._settle_down_for_peer)
        peers.handle("purge", self._purge_for_peer)

    async def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:
        """Replace the policy; None removes it."""
        await self._journal.append(PolicySet(customer, policy))
        await self._journal.barrier()

    # Counting.

    async def _give_back_for_peer(self, request: Request) -> Request:
        del request
        if self._receiver.is_wanted or not self._consumers.is_active:
            return {"returned": 0}
        return {"returned": await self._scheduler.give_back()}

    async def _settle_down_for_peer(self, request: Request) -> Request:
        del request
        buffered = await self._settle_down()
        await self._journal.barrier()
        return {"buffered": buffered}

    async def _settle_down(self) -> dict[str, int]:
        """Give back what nobody waits for; count what stays here, by customer."""
        if not self._receiver.is_wanted and 0 < len(self._consumers.sources) <= _FEW:
            await self._scheduler.give_back()
        await self._queues.until_returned()
        return self._consumers.buffers.counts()

    async def _calm(self) -> dict[str, int]:
        """Let all dispatchers give back what they can; count what stays in buffers, by customer."""
        answers, own = await asyncio.gather(self._peers.ask_all("settle down"), self._settle_down())
        await self._journal.barrier()
        total = dict(own)
        for answer in answers:
            for name, number in answer.get("buffered", {}).items():
                total[name] = total.get(name, 0) + int(number)
        return total

    async def inspect(self, customer: str | None) -> tuple[Backlog, CustomerPolicy | None]:
        """Count the messages of the customer or of all, and read the customer's policy."""
        buffered = await self._calm()
        replica = self._journal.replica
        counts = replica.counts(customer)
        if customer is None:
            queues = [queue for one in replica.customers() for queue in self._queues_of(one.name)]
            at_hand = sum(buffered.values())
        else:
            queues = [] if self._topology.hashed_queues else self._queues_of(customer)
            at_hand = buffered.get(customer, 0)
        ready = sum(await self._queues.ready_counts(queues)) + at_hand
        policy = None if customer is None else replica.policy(customer)
        leased = counts.leased + self._journal.leasing.kept_leases(customer)
        return Backlog(ready, leased, counts.delayed, counts.dead), policy

    def _queues_of(self, owner: str) -> list[str]:
        known = self._journal.replica.customer(owner)
        if known is None:
            return []
        return [self._topology.queue(owner, number) for number in range(known.oldest, known.newest + 1)]

    # Listing.

    async def page(self, limit: int, cursor: str | None) -> Page[CustomerBacklog]:
        """List customers by name."""
        after = after_cursor(cursor)
        buffered = await self._calm()
        found: list[CustomerBacklog] = []
        while True:
            names = self._journal.replica.names_after(after, limit)
            found += await self._with_backlogs(names, buffered)
            if len(names) < limit:
                more = False
                break
            after = names[-1]
            if len(found) >= limit:
                more = True
                break
        if len(found) > limit:
            found, more = found[:limit], True
        return Page(found, cursor_of(found[-1].customer) if more and found else None)

    async def _with_backlogs(self, names: Sequence[str], buffered: dict[str, int]) -> list[CustomerBacklog]:
        replica = self._journal.replica
        queues = [(name, queue) for name in names for queue in self._queues_of(name)]
        ready = dict.fromkeys(names, 0)
        counts = await self._queues.ready_counts([queue for _, queue in queues])
        for (name, _), count in zip(queues, counts, strict=True):
            ready[name] += count
        found = []
        for name in names:
            if name.startswith(SHARED):
                continue
            known = replica.counts(name)
            leased = known.leased + self._journal.leasing.kept_leases(name)
            backlog = Backlog(ready[name] + buffered.get(name, 0), leased, known.delayed, known.dead)
            if backlog != Backlog() or replica.policy(name) is not None:
                found.append(CustomerBacklog(name, backlog))
        return found

    # Purging.

    async def purge(self, customer: str) -> int:
        """Remove what is ready, delayed or leased of the customer; return how many."""
        if self._journal.is_held:
            raise full()
        await self._journal.barrier()
        delayed = self._journal.replica.counts(customer).delayed
        answers = await self._peers.ask_all("purge", {"customer": customer})
        removed = sum(int(answer.get("removed", 0)) for answer in answers)
        removed += await self._purge_own(customer)
        if not self._topology.hashed_queues:
            answers_of_queues = await self._line.call(
                [Queue.Purge(queue=queue) for queue in self._queues_of(customer)]
            )
            removed += sum(int(getattr(one, "message_count", 0) or 0) for one in answers_of_queues)
        await self._journal.append(Purged(customer))
        await self._journal.barrier()
        removed += await self._purge_buffer(customer)
        return removed + delayed

    async def _purge_for_peer(self, request: Request) -> Request:
        return {"removed": await self._purge_own(str(request["customer"]))}

    async def _purge_own(self, customer: str) -> int:
        leases = self._leases.of_customer(customer)
        self._leases.drop(leases)
        for lease in leases:
            self._leases.finished.add(lease.receipt)
        held = [lease.arrival for lease in leases if lease.arrival.session.holds(lease.arrival)]
        if held:
            await self._settler.ack_arrivals(held)
        return len(held) + await self._purge_buffer(customer)

    async def _purge_buffer(self, customer: str) -> int:
        session = self._consumers.session
        if session is None:
            return 0
        await session.sync()
        async with self._consumers.turn:
            arrivals = self._consumers.buffers.clear(customer)
            self._scheduler.forfeit([customer])
            if arrivals:
                await session.ack(arrivals)
        return len(arrivals)
