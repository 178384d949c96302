"""Ends and renews the leases of this dispatcher."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from broker_core.adapter import Settlement, Verb
from broker_core.errors import BrokerUnavailable, DispatcherError
from fair_rabbitmq.buffers import Arrival
from fair_rabbitmq.dead_letters import Burial, DeadLetters
from fair_rabbitmq.delays import Delays
from fair_rabbitmq.ending import end_tasks
from fair_rabbitmq.journal.events import Ended, HandedOver
from fair_rabbitmq.journal.events import Lease as Leased
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.leases import Lease, Leases, Recent
from fair_rabbitmq.receipts import Claim
from fair_rabbitmq.records import parcel_of
from fair_rabbitmq.scheduling import Scheduler
from fair_rabbitmq.session import by_session
from fair_rabbitmq.settings import RabbitMQSettings

log = logging.getLogger(__name__)


class Settler:
    """Settles what this dispatcher has handed over."""

    def __init__(
        self,
        settings: RabbitMQSettings,
        journal: Journal,
        scheduler: Scheduler,
        leases: Leases,
        delays: Delays,
        dead_letters: DeadLetters,
        ended: Recent,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._scheduler = scheduler
        self._leases = leases
        self._delays = delays
        self._dead_letters = dead_letters
        self._ended = ended
        self._tasks: set[asyncio.Task[None]] = set()

    # Ending.

    async def settle(self, claims: Sequence[Claim], settlement: Settlement) -> list[str]:
        """End leases and return the receipts whose lease was lost."""
        leases: list[Lease] = []
        orphans: list[Lease] = []
        lost: list[str] = []
        for claim in claims:
            lease = self._leases.get(claim.receipt)
            orphan = self._leases.orphan(claim.receipt)
            if lease is not None:
                leases.append(lease)
            elif settlement.verb is not Verb.ACK:
                lost.append(claim.receipt)
            elif orphan is not None:
                orphans.append(orphan)
            elif not self.is_finished(claim):
                lost.append(claim.receipt)
        if orphans:
            lost += await self._ack_orphans(orphans)
        if lost and settlement.verb is Verb.ACK:
            # Somebody else may have finished them a moment ago.
            await self._journal.barrier()
            lost = [
                claim.receipt for claim in claims if claim.receipt in lost and not self.is_finished(claim)
            ]
        if leases:
            self._leases.drop(leases)
            task: asyncio.Task[None] = asyncio.create_task(
                self.end(leases, settlement), name="fair-dispatcher-settle"
            )
            self._own(task)
            await asyncio.shield(task)
        return lost

    async def _ack_orphans(self, orphans: Sequence[Lease]) -> list[str]:
        """Finish messages whose session was lost, unless they went on to somebody meanwhile.

        The broker has them in their queues again; whoever gets one finds in the journal that it is finished.
        """
        await self._journal.barrier()
        replica = self._journal.replica
        mine = [
            lease
            for lease in orphans
            if replica.attempts(lease.id) == lease.attempt
            and replica.lease_owner(lease.id) in (None, self._journal.dispatcher)
            and self._leases.of_id(lease.id) is None
        ]
        if mine:
            await self._journal.append(Ended(tuple(lease.id for lease in mine)))
            for lease in mine:
                self._leases.adopt(lease)
                self._ended.add(lease.id)
            await self._scheduler.sweep({lease.customer for lease in mine}, self._ended)
        kept = set(map(id, mine))
        return [one.receipt for one in orphans if id(one) not in kept]

    def is_finished(self, claim: Claim) -> bool:
        """Tell whether this message is known to have been acked."""
        return claim.receipt in self._leases.finished or claim.id in self._ended

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def end(self, leases: Sequence[Lease], settlement: Settlement) -> None:
        """End leases that were taken out of the table; those that can't be ended now are put back."""
        try:
            await self._end_as(leases, settlement)
        except BaseException:
            for lease in leases:
                if lease.arrival.session.holds(lease.arrival):
                    self._leases.add(lease)
                elif not lease.arrival.session.alive:
                    self._leases.bereave(lease)
            self._leases.ends_changed.set()
            raise

    async def _end_as(self, leases: Sequence[Lease], settlement: Settlement) -> None:
        arrivals = [lease.arrival for lease in leases]
        ids = tuple(lease.id for lease in leases)
        if settlement.verb is Verb.ACK:
            await self.ack_arrivals(arrivals)
            for lease in leases:
                self._leases.finished.add(lease.receipt)
                self._ended.add(lease.id)
            self._journal.leasing.end(ids)
            if any(lease.attempt > 1 or lease.arrival.stored.came for lease in leases):
                # Whoever had one of them before may ask the journal about it as soon as this returns.
                with contextlib.suppress(BrokerUnavailable):
                    await self._journal.barrier()
        elif settlement.verb is Verb.RELEASE:
            await self._journal.leasing.give_back(ids, counted=False)
            for lease in leases:
                lease.arrival.attempts = lease.attempt - 1
            await self._scheduler.make_ready(arrivals)
        elif settlement.verb is Verb.DEAD_LETTER:
            await self._bury(leases, settlement.reason)
        else:
            await self._nack(leases, settlement)

    async def _nack(self, leases: Sequence[Lease], settlement: Settlement) -> None:
        most = self._settings.max_attempts
        last = [lease for lease in leases if lease.attempt >= most]
        again = [lease for lease in leases if lease.attempt < most]
        if last:
            await self._bury(last, settlement.reason)
        if not again:
            return
        if settlement.delay_seconds > 0:
            due_ms = int((time.time() + settlement.delay_seconds) * 1000) + 1
            await self._delays.delay([parcel_of(lease.arrival.stored) for lease in again], due_ms)
            await self.ack_arrivals([lease.arrival for lease in again])
        else:
            await self._journal.leasing.give_back([lease.id for lease in again], counted=True)
            for lease in again:
                lease.arrival.attempts = lease.attempt
            await self._scheduler.make_ready([lease.arrival for lease in again])

    async def _bury(self, leases: Sequence[Lease], reason: str) -> None:
        now_ms = int(time.time() * 1000)
        await self.take_over([lease.arrival for lease in leases if lease.doom])
        await self._dead_letters.bury(
            [Burial(parcel_of(one.arrival.stored), one.attempt, reason, now_ms) for one in leases]
        )
        await self.ack_arrivals([lease.arrival for lease in leases])

    async def take_over(self, arrivals: Sequence[Arrival]) -> None:
        """Let the journal know that a lease is over whose owner is lost: nobody else may end it."""
        replica, me = self._journal.replica, self._journal.dispatcher
        foreign = [one for one in arrivals if replica.lease_owner(one.id) not in (None, me)]
        if foreign:
            until_ms = int(time.time() * 1000)
            await self._journal.append(
                HandedOver(tuple(Leased(one.id, one.customer, until_ms) for one in foreign))
            )

    async def ack_arrivals(self, arrivals: Iterable[Arrival]) -> None:
        """Remove messages from the broker; raises BrokerUnavailable if their session is lost."""
        for session, theirs in by_session(arrivals).items():
            await session.ack(theirs)

    async def release_quietly(self, receipts: Sequence[str]) -> None:
        """Give back what nobody got; what can't be given back now comes back with the session's end."""
        leases = [lease for receipt in receipts if (lease := self._leases.get(receipt)) is not None]
        self._leases.drop(leases)
        try:
            await self.end(leases, Settlement(Verb.RELEASE))
        except DispatcherError as error:
            log.debug("a cancelled receive isn't given back yet: %s", error)

    # Renewing.

    def extend(self, claims: Sequence[Claim], seconds: float) -> dict[str, datetime | None]:
        """Renew leases and return their ends by receipt, None where lost."""
        until_ms = int((time.time() + seconds) * 1000)
        until, ends = datetime.fromtimestamp(until_ms / 1000, UTC), time.monotonic() + seconds
        answer: dict[str, datetime | None] = {}
        renewed: list[Leased] = []
        for claim in claims:
            lease = self._leases.get(claim.receipt)
            answer[claim.receipt] = None if lease is None else until
            if lease is not None:
                self._leases.extend(lease, ends)
                renewed.append(Leased(lease.id, lease.customer, until_ms))
        if renewed:
            self._journal.leasing.extend(renewed)
            self._leases.ends_changed.set()
        return answer

    async def close(self) -> None:
        """End what is under way. Idempotent, quick."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=0.3)
        await end_tasks(self._tasks, 0.1)
