"""Ends and renews leases: the owner's process does it, whoever asks for it."""

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
from fair_rabbitmq.consuming import Consumers
from fair_rabbitmq.dead_letters import Burial, DeadLetters
from fair_rabbitmq.delays import Delays
from fair_rabbitmq.ending import end_tasks
from fair_rabbitmq.journal.events import Ended, HandedOver
from fair_rabbitmq.journal.events import Lease as Leased
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.leases import Lease, Leases, Recent
from fair_rabbitmq.peers import Peers, Request
from fair_rabbitmq.receipts import Claim, claims_of
from fair_rabbitmq.records import parcel_of
from fair_rabbitmq.scheduling import Scheduler
from fair_rabbitmq.session import Session, by_session
from fair_rabbitmq.settings import RabbitMQSettings

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.2
EXPIRED = "lease expired"


class Settler:
    """Settles what this dispatcher has handed over, and passes on what others have."""

    def __init__(
        self,
        settings: RabbitMQSettings,
        journal: Journal,
        consumers: Consumers,
        scheduler: Scheduler,
        leases: Leases,
        delays: Delays,
        dead_letters: DeadLetters,
        peers: Peers,
        ended: Recent,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._consumers = consumers
        self._scheduler = scheduler
        self._leases = leases
        self._delays = delays
        self._dead_letters = dead_letters
        self._peers = peers
        self._ended = ended
        self._tasks: set[asyncio.Task[None]] = set()
        self._expiring: asyncio.Task[None] | None = None
        self._ends_changed = asyncio.Event()
        peers.handle("settle", self._settle_for_peer)
        peers.handle("extend", self._extend_for_peer)

    # Ending.

    async def settle(self, receipts: Sequence[str], settlement: Settlement) -> list[str]:
        """End leases and return the receipts whose lease was lost."""
        claims = claims_of(receipts)
        await self._consumers.open()
        mine, others = self._by_owner(claims)
        lost = await self._settle_own(mine, settlement) if mine else []
        for dispatcher, theirs in others.items():
            lost += await self._pass_on(dispatcher, theirs, settlement)
        return lost

    def _by_owner(self, claims: Sequence[Claim]) -> tuple[list[Claim], dict[str, list[Claim]]]:
        mine: list[Claim] = []
        others: dict[str, list[Claim]] = {}
        for claim in claims:
            if claim.dispatcher == self._journal.dispatcher:
                mine.append(claim)
            else:
                others.setdefault(claim.dispatcher, []).append(claim)
        return mine, others

    async def _settle_own(self, claims: Sequence[Claim], settlement: Settlement) -> list[str]:
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
            elif not self._is_finished(claim):
                lost.append(claim.receipt)
        if orphans:
            lost += await self._ack_orphans(orphans)
        if lost and settlement.verb is Verb.ACK:
            # Somebody else may have finished them a moment ago.
            await self._journal.barrier()
            lost = [
                claim.receipt for claim in claims if claim.receipt in lost and not self._is_finished(claim)
            ]
        if leases:
            self._leases.drop(leases)
            task: asyncio.Task[None] = asyncio.create_task(
                self._end(leases, settlement), name="fair-dispatcher-settle"
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

    def _is_finished(self, claim: Claim) -> bool:
        return claim.receipt in self._leases.finished or claim.id in self._ended

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def _end(self, leases: Sequence[Lease], settlement: Settlement) -> None:
        """End leases that were taken out of the table; those that can't be ended now are put back."""
        try:
            await self._end_as(leases, settlement)
        except BaseException:
            for lease in leases:
                if lease.arrival.session.holds(lease.arrival):
                    self._leases.add(lease)
                elif not lease.arrival.session.alive:
                    self._leases.bereave(lease)
            self.watch_ends()
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
            await self._end(leases, Settlement(Verb.RELEASE))
        except DispatcherError as error:
            log.debug("a cancelled receive isn't given back yet: %s", error)

    # Renewing.

    async def extend(self, receipts: Sequence[str], seconds: float) -> list[datetime | None]:
        """Renew leases and return their ends, None where lost."""
        claims = claims_of(receipts)
        await self._consumers.open()
        mine, others = self._by_owner(claims)
        ends: dict[str, datetime | None] = self._extend_own(mine, seconds)
        for dispatcher, theirs in others.items():
            answer = await self._peers.request(
                dispatcher, "extend", {"receipts": [one.receipt for one in theirs], "seconds": seconds}
            )
            told = answer.get("ends", {}) if answer is not None else {}
            for claim in theirs:
                ms = told.get(claim.receipt)
                ends[claim.receipt] = None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
        return [ends[receipt] for receipt in receipts]

    def _extend_own(self, claims: Sequence[Claim], seconds: float) -> dict[str, datetime | None]:
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
            self.watch_ends()
        return answer

    # For other dispatchers.

    async def _pass_on(self, dispatcher: str, claims: Sequence[Claim], settlement: Settlement) -> list[str]:
        answer = await self._peers.request(
            dispatcher,
            "settle",
            {
                "receipts": [claim.receipt for claim in claims],
                "verb": settlement.verb.value,
                "delay": settlement.delay_seconds,
                "reason": settlement.reason,
            },
        )
        if answer is not None:
            return [str(receipt) for receipt in answer["lost"]]
        if settlement.verb is Verb.ACK:
            await self._journal.barrier()
            return [claim.receipt for claim in claims if not self._is_finished(claim)]
        return [claim.receipt for claim in claims]

    async def _settle_for_peer(self, request: Request) -> Request:
        settlement = Settlement(Verb(request["verb"]), float(request["delay"]), str(request["reason"]))
        lost = await self._settle_own(claims_of(request["receipts"]), settlement)
        await self._journal.barrier()
        return {"lost": lost}

    async def _extend_for_peer(self, request: Request) -> Request:
        ends = self._extend_own(claims_of(request["receipts"]), float(request["seconds"]))
        return {"ends": {k: None if v is None else v.timestamp() * 1000 for k, v in ends.items()}}

    # Expiry.

    def watch_ends(self) -> None:
        """Note that a lease may end sooner than was known."""
        self._ends_changed.set()
        if self._expiring is None:
            self._expiring = asyncio.create_task(self._expire_for_ever(), name="fair-dispatcher-expiry")

    async def _expire_for_ever(self) -> None:
        while True:
            self._ends_changed.clear()
            expired = self._leases.pop_expired()
            if expired:
                await self._expire(expired)
            end = self._leases.next_end()
            wait = None if end is None else max(0.0, end - time.monotonic())
            try:
                async with asyncio.timeout(wait):
                    await self._ends_changed.wait()
            except TimeoutError:
                continue

    async def _expire(self, leases: Sequence[Lease]) -> None:
        held = [lease for lease in leases if lease.arrival.session.holds(lease.arrival)]
        if not held:
            return
        most = self._settings.max_attempts
        ends: dict[str, list[Lease]] = {}
        for lease in held:
            # Those that die need a message to be stored; the others don't have to wait for that.
            dies = EXPIRED if lease.attempt >= most else ""
            ends.setdefault(lease.doom or dies, []).append(lease)
        failed = False
        for reason, theirs in sorted(ends.items()):
            verb = Verb.DEAD_LETTER if reason else Verb.NACK
            try:
                await self._end(theirs, Settlement(verb, 0.0, reason or EXPIRED))
            except DispatcherError as error:
                log.debug("expired leases are not given back yet: %s", error)
                failed = True
        if failed:
            await asyncio.sleep(_RETRY_SECONDS)

    def lose(self, session: Session) -> None:
        """Note that all that came over a session is lost; the broker has given it back."""
        self._leases.lose(session)

    async def close(self) -> None:
        """End what is under way. Idempotent, quick."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=0.3)
        await end_tasks([*self._tasks, *([self._expiring] if self._expiring else [])], 0.1)
