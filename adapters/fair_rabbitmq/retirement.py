"""Removes queues of customers that have been idle for long, without losing what arrives meanwhile.

A queue is retired in the journal and unbound: whoever publishes finds no queue and makes the next
generation. What had arrived is consumed as before. When nobody has anything of the old generation any
more it is deleted, and only then the next one is consumed.
"""

from __future__ import annotations

import asyncio
import logging
import time

from pamqp.commands import Queue

from broker_core.errors import DispatcherError
from fair_rabbitmq.ending import end_tasks
from fair_rabbitmq.journal.events import CustomerRemoved, CustomerRetired, CustomerSeen, Event, HandedOver
from fair_rabbitmq.journal.replica import KnownCustomer
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.leases import Leases
from fair_rabbitmq.line import Line
from fair_rabbitmq.peers import Peers, Request
from fair_rabbitmq.queues import Queues
from fair_rabbitmq.subscriptions import LEAVE_SECONDS, Subscriptions
from fair_rabbitmq.topology import Topology

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_MOST_AT_ONCE = 50
# What was found out about a queue counts for so long since all were asked to leave it; a process that stood
# still begins anew.
_FRESH_SECONDS = LEAVE_SECONDS - 1


class Retirement:
    """Looks for idle queues regularly; of all dispatchers only one does."""

    def __init__(
        self,
        journal: Journal,
        topology: Topology,
        line: Line,
        queues: Queues,
        subscriptions: Subscriptions,
        leases: Leases,
        peers: Peers,
        idle_seconds: float,
    ) -> None:
        self._journal = journal
        self._topology = topology
        self._line = line
        self._queues = queues
        self._subscriptions = subscriptions
        self._leases = leases
        self._peers = peers
        self._idle_seconds = idle_seconds
        self._active_at: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None
        peers.handle("leave", self._leave_for_peer)
        peers.handle("stay", self._stay_for_peer)

    def start(self) -> None:
        """Begin to look, unless customers share queues, which stay."""
        if not self._topology.hashed_queues:
            self._task = asyncio.create_task(self._look_for_ever(), name="fair-dispatcher-retirement")

    def note(self, event: Event) -> None:
        """Take in what tells that a customer isn't idle."""
        now = time.monotonic()
        if isinstance(event, HandedOver):
            for lease in event.leases:
                self._active_at[lease.customer] = now
        elif isinstance(event, CustomerSeen):
            self._active_at[event.customer] = now

    def note_published(self, owner: str) -> None:
        """Note that something is published for this owner."""
        self._active_at[owner] = time.monotonic()

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(min(_LOOK_SECONDS, self._idle_seconds / 2))
            try:
                if self._journal.dispatcher == min(self._journal.replica.writers.live(), default=""):
                    await self._look()
            except DispatcherError as error:
                log.debug("idle queues stay for now: %s", error)

    async def _look(self) -> None:
        if self._journal.is_held:
            return
        known = self._journal.replica.customers()
        names = {one.name for one in known}
        now = time.monotonic()
        self._active_at = {name: self._active_at.get(name, now) for name in names}
        retired = [one for one in known if one.retired >= one.oldest]
        idle = [
            one
            for one in known
            if one.retired < one.oldest and self._active_at[one.name] < now - self._idle_seconds
        ]
        if idle:
            await self._retire(idle[:_MOST_AT_ONCE])
            await self._journal.barrier()
            names = {one.name for one in idle}
            retired += [
                one
                for one in self._journal.replica.customers()
                if one.name in names and one.retired >= one.oldest
            ]
        # At once, since what comes from now on waits until the old queue is gone.
        for one in retired[: 2 * _MOST_AT_ONCE]:
            await self._remove(one)

    async def _retire(self, idle: list[KnownCustomer]) -> None:
        counts = await self._queues.ready_counts([self._queue(one) for one in idle])
        replica = self._journal.replica
        chosen: list[KnownCustomer] = []
        for one, ready in zip(idle, counts, strict=True):
            known = replica.counts(one.name)
            if ready or known.leased or known.delayed:
                self._active_at[one.name] = time.monotonic()
            else:
                chosen.append(one)
        if not chosen:
            return
        await self._journal.append(*(CustomerRetired(one.name, one.newest) for one in chosen))
        await self._line.call(
            [
                Queue.Unbind(
                    queue=self._topology.queue(one.name, one.newest),
                    exchange=self._topology.exchange,
                    routing_key=self._topology.key(one.name),
                )
                for one in chosen
            ]
        )

    def _queue(self, one: KnownCustomer) -> str:
        return self._topology.queue(one.name, one.oldest)

    async def _remove(self, one: KnownCustomer) -> None:
        """Delete a retired queue if nobody has anything of it; else everybody goes on with it."""
        request: Request = {"owner": one.name, "generation": one.oldest}
        peers = len(self._journal.replica.writers.live()) - 1
        since = time.monotonic()
        try:
            answers = await self._peers.ask_all("leave", request)
            answers.append(await self._leave_for_peer(request))
            if len(answers) > peers and not any(answer["held"] for answer in answers):
                await self._delete(one, since)
            await self._stay_for_peer(request)
        except DispatcherError as error:
            # Whoever isn't told to stay does so a little later.
            log.debug("an idle queue stays for now: %s", error)
        await self._peers.ask_all("stay", request)

    async def _delete(self, one: KnownCustomer, since: float) -> None:
        # Unbound again: somebody may have bound it who heard of the retirement too late.
        queue = self._queue(one)
        key, exchange = self._topology.key(one.name), self._topology.exchange
        await self._line.call([Queue.Unbind(queue=queue, exchange=exchange, routing_key=key)])
        (ready,) = await self._queues.ready_counts([queue])
        await self._journal.barrier()
        now = self._journal.replica.customer(one.name)
        if ready or now is None or now.oldest != one.oldest or now.retired < one.oldest:
            return
        if time.monotonic() - since > _FRESH_SECONDS:
            return
        await self._line.call([Queue.Delete(queue=queue)])
        await self._journal.append(CustomerRemoved(one.name, one.oldest))

    async def _leave_for_peer(self, request: Request) -> Request:
        owner = str(request["owner"])
        await self._subscriptions.leave(owner)
        return {"held": len(self._leases.of_customer(owner))}

    async def _stay_for_peer(self, request: Request) -> Request:
        owner = str(request["owner"])
        left_until = self._subscriptions.left_until(owner)
        # Who hasn't heard yet that the queue was deleted would consume it, and lose its session by that.
        await self._journal.barrier()
        self._subscriptions.stay(owner, left_until)
        return {}

    async def close(self) -> None:
        """End looking. Idempotent."""
        if self._task is not None:
            await end_tasks([self._task], 0.1)
