"""Receives: takes what the schedule says, tells the journal, hands it over; waits without polling."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from broker_core import envelope
from broker_core.construct import delivery_of
from broker_core.errors import BrokerFull, BrokerUnavailable, DispatcherError
from broker_core.model import Delivery, Message
from fair_rabbitmq.buffers import Arrival
from fair_rabbitmq.dead_letters import Burial, DeadLetters
from fair_rabbitmq.ending import end_tasks
from fair_rabbitmq.journal.events import Lease as Leased
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.leases import Lease, Leases, Recent
from fair_rabbitmq.peers import Peers
from fair_rabbitmq.receipts import Receipts
from fair_rabbitmq.records import DUE, REDRIVEN, RESENT, parcel_of, published_at
from fair_rabbitmq.scheduling import Scheduler
from fair_rabbitmq.settings import RabbitMQSettings
from fair_rabbitmq.settling import Settler

log = logging.getLogger(__name__)

# One that waits asks the others for what they keep only if nothing comes by itself.
# With its message, and which attempt it is.
Chosen = tuple[Arrival, Message, int]

ASK_AFTER_SECONDS = 0.05
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 1.0


class News:
    """Lets receives sleep until something has changed; what changed while nobody slept isn't missed."""

    def __init__(self) -> None:
        self.count = 0
        self._sleepers: set[asyncio.Future[None]] = set()

    def tell(self) -> None:
        """Wake all."""
        self.count += 1
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    async def sleep(self, seconds: float, seen: int) -> None:
        """Return when there is news since `seen`, after `seconds` at the latest."""
        if self.count != seen:
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.add(sleeper)
        try:
            await asyncio.wait({sleeper}, timeout=seconds)
        finally:
            self._sleepers.discard(sleeper)


class Receiver:
    """Leases messages; consumes only while somebody receives, or did a moment ago."""

    def __init__(
        self,
        settings: RabbitMQSettings,
        journal: Journal,
        scheduler: Scheduler,
        leases: Leases,
        settler: Settler,
        dead_letters: DeadLetters,
        peers: Peers,
        receipts: Receipts,
        ended: Recent,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._scheduler = scheduler
        self._leases = leases
        self._settler = settler
        self._dead_letters = dead_letters
        self._peers = peers
        self._receipts = receipts
        self._ended = ended
        self.news = News()
        self._receiving = 0
        self._lingering: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def is_wanted(self) -> bool:
        """Whether somebody is receiving now."""
        return self._receiving > 0

    @property
    def is_lingering(self) -> bool:
        """Whether somebody received a moment ago, so that what is at hand is given back soon."""
        return self._lingering is not None

    async def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:
        """Return deliveries as soon as there are some, [] after wait_seconds; ride out short outages."""
        self._begin()
        try:
            return await self._receive(max_messages, wait_seconds)
        finally:
            self._end()

    def _begin(self) -> None:
        self._receiving += 1
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    def _end(self) -> None:
        self._receiving -= 1
        if not self._receiving:
            loop = asyncio.get_running_loop()
            self._lingering = loop.call_later(self._settings.linger_seconds, self._stop_lingering)

    def _stop_lingering(self) -> None:
        self._lingering = None
        self._own(self._give_back_quietly())

    async def _give_back_quietly(self) -> None:
        try:
            if not self._receiving:
                await self._scheduler.give_back()
        except DispatcherError as error:
            log.debug("what was fetched ahead comes back when the connection ends: %s", error)

    async def _receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:
        clock = asyncio.get_running_loop().time
        until = clock() + wait_seconds
        pause_seconds = FIRST_PAUSE_SECONDS
        looked = asked_after = False
        while True:
            try:
                seen = self.news.count
                deliveries = await self._take(max_messages)
                if deliveries:
                    return deliveries
                left = until - clock()
                if not looked:
                    if left > ASK_AFTER_SECONDS and not asked_after:
                        asked_after = True
                        await self.news.sleep(ASK_AFTER_SECONDS, seen)
                        continue
                    looked = True
                    await self._look_around()
                    continue
                if left <= 0:
                    return []
                probe = self._settings.timeout_seconds
                await self.news.sleep(min(left, probe), seen)
                if self.news.count == seen and left > probe:
                    await self._scheduler.probe()
                pause_seconds = FIRST_PAUSE_SECONDS
            except (BrokerUnavailable, BrokerFull) as error:
                if not error.retryable or clock() + pause_seconds >= until:
                    raise
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
                looked = False

    async def _look_around(self) -> None:
        """Make sure that there is nothing which we haven't heard of, and nothing that idle peers keep."""
        await self._journal.barrier()
        await self._scheduler.ask_back(partial(self._peers.ask_all, "give back"))
        await self._scheduler.probe()

    async def _take(self, max_messages: int) -> list[Delivery]:
        task: asyncio.Task[list[Delivery]] = asyncio.create_task(
            self._gather_and_hand_over(max_messages), name="fair-dispatcher-receive"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._undo)
            raise

    def _undo(self, task: asyncio.Task[list[Delivery]]) -> None:
        if task.cancelled() or task.exception() is not None:
            return
        if task.result():
            self._own(self._settler.release_quietly([delivery.receipt for delivery in task.result()]))

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _gather_and_hand_over(self, max_messages: int) -> list[Delivery]:
        while True:
            arrivals = await self._scheduler.gather(max_messages)
            if not arrivals:
                return []
            try:
                deliveries = await self._hand_over(arrivals)
            except BaseException:
                self._scheduler.put_back(arrivals)
                raise
            if deliveries:
                return deliveries

    async def _hand_over(self, arrivals: list[Arrival]) -> list[Delivery]:
        if any(_is_known_elsewhere(one) for one in arrivals):
            # The journal has to know all that happened to them before they came again.
            await self._journal.barrier()
        gone = [one for one in arrivals if not one.session.holds(one)]
        chosen, left_over, burials = self._sort([one for one in arrivals if one.session.holds(one)])
        if left_over:
            await self._settler.ack_arrivals(left_over)
        if burials:
            await self._bury(burials)
        deliveries = await self._lease(chosen) if chosen else []
        self._scheduler.refund(gone)
        return deliveries

    async def _lease(self, chosen: Sequence[Chosen]) -> list[Delivery]:
        seconds = self._settings.lease_seconds
        until = time.time() + seconds
        until_ms = int(until * 1000)
        await self._journal.leasing.hand_over(
            [Leased(one.id, one.customer, until_ms) for one, _, _ in chosen],
            {one.id: attempt for one, _, attempt in chosen},
        )
        return self._deliver(chosen, time.monotonic() + seconds, datetime.fromtimestamp(until_ms / 1000, UTC))

    async def _bury(self, burials: Sequence[tuple[Arrival, Burial]]) -> None:
        try:
            await self._settler.take_over([arrival for arrival, _ in burials])
            await self._dead_letters.bury([burial for _, burial in burials])
        except DispatcherError:
            if not self._journal.is_held:
                raise
            # They can't die before the alarm is over, and others needn't wait for it.
            for arrival, burial in burials:
                receipt = self._receipts.make(arrival.id, arrival.customer)
                self._leases.add(Lease(receipt, arrival, burial.attempts, time.monotonic(), burial.reason))
            self._leases.ends_changed.set()
        else:
            await self._settler.ack_arrivals([arrival for arrival, _ in burials])

    def _deliver(self, chosen: Sequence[Chosen], ends: float, lease_until: datetime) -> list[Delivery]:
        deliveries: list[Delivery] = []
        lost: list[Arrival] = []
        for arrival, message, attempt in chosen:
            if not arrival.session.holds(arrival):
                lost.append(arrival)
                continue
            receipt = self._receipts.make(arrival.id, arrival.customer)
            self._leases.add(Lease(receipt, arrival, attempt, ends))
            deliveries.append(
                delivery_of(message, arrival.id, attempt, published_at(arrival.id), lease_until, receipt)
            )
        if lost:
            self._scheduler.refund(lost)
            self._journal.leasing.release_soon([one.id for one in lost])
        if deliveries:
            self._leases.ends_changed.set()
        return deliveries

    def _sort(
        self, arrivals: Sequence[Arrival]
    ) -> tuple[list[Chosen], list[Arrival], list[tuple[Arrival, Burial]]]:
        chosen: list[Chosen] = []
        left_over: list[Arrival] = []
        burials: list[tuple[Arrival, Burial]] = []
        now_ms = int(time.time() * 1000)
        ids: set[str] = set()
        for arrival in arrivals:
            stored = arrival.stored
            known = arrival.redelivered or bool(stored.came) or arrival.attempts is not None
            if arrival.id in ids or (known and self._is_left_over(arrival)):
                left_over.append(arrival)
                continue
            ids.add(arrival.id)
            attempts = arrival.attempts
            if attempts is None:
                attempts = self._journal.leasing.attempts(arrival.id) if _is_known_elsewhere(arrival) else 0
            if known and attempts >= self._settings.max_attempts:
                burials.append((arrival, Burial(parcel_of(stored), attempts, "lease expired", now_ms)))
                continue
            try:
                if not arrival.decodable:
                    raise envelope.UndecodableEnvelope("not written by this adapter")
                message = envelope.decode(stored.body, stored.customer, stored.cost)
            except envelope.UndecodableEnvelope:
                log.warning("an undecodable entry was moved to the dead letters")
                burials.append((arrival, Burial(parcel_of(stored), attempts, "undecodable entry", now_ms)))
                continue
            chosen.append((arrival, message, attempts + 1))
        return chosen, left_over, burials

    def _is_left_over(self, arrival: Arrival) -> bool:
        """Tell whether this is a copy of a message that was finished, or is held, through another copy."""
        if arrival.id in self._ended:
            return True
        lease = self._leases.of_id(arrival.id)
        if lease is not None and lease.arrival is not arrival and lease.arrival.session.holds(lease.arrival):
            return True
        return arrival.stored.came != REDRIVEN and self._journal.replica.is_buried(arrival.id)

    async def close(self) -> None:
        """Undo what cancelled receives took, half a second at most. Idempotent."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        if self._tasks:
            _, pending = await asyncio.wait(self._tasks, timeout=0.3)
            while self._tasks - pending:
                await asyncio.wait(self._tasks - pending, timeout=0.2)
                break
            await end_tasks(self._tasks, 0.1)


def _is_known_elsewhere(arrival: Arrival) -> bool:
    """Tell whether only the journal knows what happened to this message before it came."""
    return arrival.attempts is None and (arrival.redelivered or arrival.stored.came in (RESENT, DUE))
