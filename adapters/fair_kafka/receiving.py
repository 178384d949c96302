"""Receives: the ledger leases, then the payloads are read; undoes what a lost receive has taken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from broker_core import envelope
from broker_core.construct import delivery_of
from broker_core.errors import BrokerUnavailable, DispatcherError
from broker_core.model import Delivery
from fair_kafka.fetching import Fetcher, Payloads
from fair_kafka.ledger.commands import Command, Gone, Held, Receive, Ref, Revoke, Undecodable, Vanished
from fair_kafka.ledger.outcomes import Counted, HandedOver, Received, Revoked, Settled, UnknownSession
from fair_kafka.session import Session, expect
from fair_kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

MOST_MESSAGES_PER_CALL = 2000
MOST_BYTES_PER_CALL = 16 << 20
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 1.0
CLOSE_SECONDS = 0.5


class Receiver:
    """Leases messages.

    waiting: is told when a receive begins and ends, so that time passes for it. upcoming: guesses what
    the next ones will want.
    """

    def __init__(
        self,
        session: Session,
        fetcher: Fetcher,
        settings: KafkaSettings,
        waiting: Callable[[int], None],
        upcoming: Callable[[int], Iterable[Ref]],
    ) -> None:
        self._session = session
        self._fetcher = fetcher
        self._waiting = waiting
        self._upcoming = upcoming
        self._timeout_seconds = settings.timeout_seconds
        self._lease_seconds = settings.lease_seconds
        self._lease_ms = max(1, round(settings.lease_seconds * 1000))
        self._mean_bytes = 0.0
        self._revoking: set[asyncio.Task[None]] = set()

    async def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:
        """Return deliveries as soon as there are some, [] after wait_seconds; ride out short outages."""
        clock = asyncio.get_running_loop().time
        until = clock() + wait_seconds
        while True:
            try:
                number, sequence, received = await self._lease(max_messages, max(0.0, until - clock()))
            except BrokerUnavailable as error:
                if not error.retryable or clock() + FIRST_PAUSE_SECONDS >= until:
                    raise
                await asyncio.sleep(FIRST_PAUSE_SECONDS)
                continue
            if not received.messages:
                return []
            try:
                deliveries = await self._deliver(number, sequence, received)
            except (DispatcherError, asyncio.CancelledError):
                self._revoke(number, sequence)
                raise
            if deliveries:
                return deliveries

    async def _lease(self, max_messages: int, wait_seconds: float) -> tuple[int, int, Received]:
        wait_ms = round(wait_seconds * 1000)
        limit = min(max_messages, self._most_messages())
        session = self._session
        number = session.number
        ticket = session.submit(
            lambda s, n: Receive(s, n, limit, self._lease_ms, wait_ms),
            max(wait_seconds, self._timeout_seconds),
        )
        sequence = ticket.command.sequence
        self._waiting(1)
        try:
            outcome = await session.outcome(ticket, wait_seconds)
        except (DispatcherError, asyncio.CancelledError):
            if ticket.is_sent:
                self._revoke(number, sequence)
            raise
        finally:
            self._waiting(-1)
        if isinstance(outcome, UnknownSession):
            await session.reopen(number)
            return await self._lease(max_messages, wait_seconds)
        return number, sequence, expect(outcome, Received)

    def _most_messages(self) -> int:
        if not self._mean_bytes:
            return MOST_MESSAGES_PER_CALL
        return max(1, min(MOST_MESSAGES_PER_CALL, int(MOST_BYTES_PER_CALL / self._mean_bytes)))

    async def _deliver(self, number: int, sequence: int, received: Received) -> list[Delivery]:
        size = len(received.messages)
        payloads = await self._fetcher.fetch([one.ref for one in received.messages], self._upcoming)
        self._fetcher.read_ahead(self._upcoming(size), size)
        lease_until = datetime.fromtimestamp(received.lease_until_ms / 1000, UTC)
        deliveries: list[Delivery] = []
        undecodable: list[HandedOver] = []
        size_bytes = 0
        times: dict[int, datetime] = {}
        found, decode = payloads.found.get, envelope.decode
        for handed in received.messages:
            customer, _, message_id, attempt, cost, published_ms, ref, receipt = handed
            payload = found(ref)
            if payload is None:
                if ref in payloads.damaged:
                    undecodable.append(handed)
                continue
            size_bytes += len(payload)
            try:
                message = decode(payload, customer, cost)
            except envelope.UndecodableEnvelope:
                undecodable.append(handed)
                continue
            published_at = times.get(published_ms)
            if published_at is None:
                published_at = times[published_ms] = datetime.fromtimestamp(published_ms / 1000, UTC)
            deliveries.append(delivery_of(message, message_id, attempt, published_at, lease_until, receipt))
        mean = size_bytes / size
        self._mean_bytes = 0.8 * self._mean_bytes + 0.2 * mean if self._mean_bytes else mean
        if undecodable:
            await self._bury(number, sequence, undecodable)
        if payloads.vanished:
            await self._report(received, payloads)
        return deliveries

    async def _bury(self, number: int, sequence: int, undecodable: list[HandedOver]) -> None:
        log.warning("%d undecodable entries moved to the dead letters", len(undecodable))
        held = Held(number, sequence, tuple(handed.serial for handed in undecodable))
        await self._session.run(lambda s, n: Undecodable(s, n, (held,)), Settled)

    async def _report(self, received: Received, payloads: Payloads) -> None:
        gone = tuple(
            Gone(handed.serial, handed.ref) for handed in received.messages if handed.ref in payloads.vanished
        )
        log.error("%d messages vanished from the broker: their records are gone", len(gone))
        await self._session.run(lambda s, n: Vanished(s, n, gone), Counted)

    def _revoke(self, number: int, sequence: int) -> None:
        task = asyncio.create_task(self._revoke_until_done(number, sequence), name="fair-dispatcher-revoke")
        self._revoking.add(task)
        task.add_done_callback(self._revoking.discard)

    async def _revoke_until_done(self, number: int, sequence: int) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + self._lease_seconds
        pause_seconds = FIRST_PAUSE_SECONDS

        def revoke(session: int, own_sequence: int) -> Command:
            return Revoke(session, own_sequence, sequence)

        # A receive of a forgotten session waits no more, and what it took comes back with its lease.
        while self._session.number == number and clock() < until:
            try:
                await self._session.run(revoke, Revoked)
            except DispatcherError as error:
                if not error.retryable:
                    return
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
            else:
                return

    async def close(self) -> None:
        """Finish undoing, for a part of a second at most. Idempotent."""
        if not self._revoking:
            return
        _, pending = await asyncio.wait(self._revoking, timeout=CLOSE_SECONDS)
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)
