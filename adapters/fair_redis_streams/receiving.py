"""Receives: leases messages, waits for work without polling, undoes what a lost receive has taken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from broker_core import envelope
from broker_core.construct import delivery_of
from broker_core.errors import BrokerUnavailable, DispatcherError
from broker_core.model import Delivery
from fair_redis_streams.connection import NotSent
from fair_redis_streams.receipts import Tokens
from fair_redis_streams.server import Server
from fair_redis_streams.settings import RedisStreamsSettings
from fair_redis_streams.shards import ShardTurns
from fair_redis_streams.wake import WakeListener

log = logging.getLogger(__name__)

MOST_MESSAGES_PER_CALL = 1000
MOST_BYTES_PER_CALL = 8 << 20
# A receive that was given up may still be on its way to the server: so long it would be refused there.
VOID_SECONDS = 60.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 1.0
CLOSE_SECONDS = 1.0


class Receiver:
    """Leases messages from the shards in turn."""

    def __init__(
        self, server: Server, listener: WakeListener, settings: RedisStreamsSettings, shards: int
    ) -> None:
        self._server = server
        self._listener = listener
        self._shards = shards
        self._settings = settings
        self._tokens = Tokens()
        self._turns = ShardTurns(shards)
        self._revoking: set[asyncio.Task[None]] = set()
        self._limits = (
            settings.quantum,
            MOST_BYTES_PER_CALL,
            settings.max_attempts,
            int(settings.dead_letter_retention * 1000),
        )
        self._lease_ms = max(1, int(settings.lease_seconds * 1000))

    async def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:
        """Return deliveries as soon as there are some, [] after wait_seconds; ride out short outages."""
        clock = asyncio.get_running_loop().time
        until = clock() + wait_seconds
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            try:
                deliveries, due_seconds = await self._look(max_messages, waits=wait_seconds > 0)
                left = until - clock()
                if deliveries or left <= 0:
                    return deliveries
                await self._listener.wait(left if due_seconds is None else min(left, due_seconds))
                pause_seconds = FIRST_PAUSE_SECONDS
            except BrokerUnavailable as error:
                if not error.retryable or clock() + pause_seconds >= until:
                    raise
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    async def _look(self, max_messages: int, *, waits: bool) -> tuple[list[Delivery], float | None]:
        """Ask each shard once; also tell in how many seconds something is due (None: nothing is)."""
        first_due: float | None = None
        for shard in self._turns.order():
            while True:
                deliveries, due_ms = await self._take(shard, min(max_messages, MOST_MESSAGES_PER_CALL), waits)
                if deliveries:
                    return deliveries, None
                if due_ms != 0:
                    break
            self._turns.had_nothing(shard)
            if due_ms > 0 and (first_due is None or due_ms / 1000 < first_due):
                # A millisecond more, since the server's clock has no finer one.
                first_due = (due_ms + 1) / 1000
        return [], first_due

    async def _take(self, shard: int, max_messages: int, waits: bool) -> tuple[list[Delivery], int]:
        token = self._tokens.next()
        quantum, most_bytes, max_attempts, retention_ms = self._limits
        try:
            answer = await self._server.run(
                "receive",
                shard,
                token,
                self._lease_ms,
                max_messages,
                quantum,
                most_bytes,
                max_attempts,
                retention_ms,
                int(waits),
            )
        except NotSent:
            raise
        except (DispatcherError, asyncio.CancelledError):
            self._revoke(shard, token)
            raise
        deadline_ms, due_ms, customers = answer[:3]
        if len(answer) == 3:
            return [], due_ms
        deliveries, undecodable = _deliveries(answer, shard, token, deadline_ms)
        self._turns.took(shard, deliveries, customers)
        if undecodable:
            await self._bury(shard, token, undecodable)
        return deliveries, 0

    async def _bury(self, shard: int, token: str, refs: Sequence[bytes]) -> None:
        log.warning("%d undecodable entries moved to the dead letters", len(refs))
        arguments = [part for ref in refs for part in (token, ref)]
        try:
            await self._server.run("dead_letter", shard, "undecodable entry", *arguments)
        except (DispatcherError, asyncio.CancelledError):
            self._revoke(shard, token)
            raise

    def _revoke(self, shard: int, token: str) -> None:
        task = asyncio.create_task(self._revoke_until_done(shard, token), name="fair-dispatcher-revoke")
        self._revoking.add(task)
        task.add_done_callback(self._revoking.discard)

    async def _revoke_until_done(self, shard: int, token: str) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + self._settings.lease_seconds
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._server.run("revoke", shard, token, int(VOID_SECONDS * 1000))
            except DispatcherError as error:
                if not error.retryable or clock() >= until:
                    return  # the lease ends by itself
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
            else:
                return

    async def close(self) -> None:
        """Finish undoing, for a second at most. Idempotent."""
        if not self._revoking:
            return
        _, pending = await asyncio.wait(self._revoking, timeout=CLOSE_SECONDS)
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)


def _deliveries(
    answer: Sequence[bytes], shard: int, token: str, deadline_ms: int
) -> tuple[list[Delivery], list[bytes]]:
    lease_until = datetime.fromtimestamp(deadline_ms / 1000, UTC)
    deliveries: list[Delivery] = []
    undecodable: list[bytes] = []
    start = f"{shard}.{token}."
    end = f"-{shard}"
    for at in range(3, len(answer), 2):
        ref = answer[at].decode()
        entry_id, _, customer = ref.partition(":")
        attempt, cost, data = answer[at + 1].split(b":", 2)
        try:
            message = envelope.decode(data, customer, int(cost))
        except envelope.UndecodableEnvelope:
            undecodable.append(answer[at])
            continue
        deliveries.append(
            delivery_of(
                message, entry_id + end, int(attempt), published_at(entry_id), lease_until, start + ref
            )
        )
    return deliveries, undecodable


def published_at(entry_id: str) -> datetime:
    """Return the time of publishing that an id tells."""
    return datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1000, UTC)
