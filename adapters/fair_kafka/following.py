"""Follows the ledger: reads what others append, and this dispatcher's own commands where that was quicker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from broker_core.errors import BrokerUnavailable
from fair_kafka.cluster import Lane
from fair_kafka.errors import Refused
from fair_kafka.ledger.codec import NewerRecord
from fair_kafka.partitions import LATEST, Fetched, Partitions, Place, only
from fair_kafka.records import read_batches
from fair_kafka.replica import Replica

log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 0.5
MOST_BYTES = 8 << 20
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 1.0
# A dispatcher that works alone needs no reading back; in this time it sees what others append.
ONLY_OWN_SECONDS = 0.02
# Replaying a long ledger must not keep the event loop from everything else.
RECORDS_PER_TURN = 500


class Follower:
    """Reads the ledger from the replica's position on, by a task of its own.

    trouble: why it can't now, None while all is well. reload: brings the replica to a state from which
    the ledger can be followed, when its position isn't in the ledger any more.
    """

    def __init__(
        self,
        partitions: Partitions,
        ledger: Place,
        replica: Replica,
        reload: Callable[[], Awaitable[None]],
        timeout_seconds: float,
    ) -> None:
        self._partitions = partitions
        self._ledger = ledger
        self._replica = replica
        self._reload = reload
        self._wait_seconds = min(LONGEST_WAIT_SECONDS, timeout_seconds / 2)
        self._task: asyncio.Task[None] | None = None
        self._answers_again = asyncio.Event()
        self.trouble: BrokerUnavailable | None = None

    async def catch_up(self) -> None:
        """Apply everything that is in the ledger now."""
        end = only(await self._partitions.ends([self._ledger], LATEST))
        while self._replica.position < end:
            await self._follow()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._follow_for_ever(), name="fair-dispatcher-follow")

    async def _follow_for_ever(self) -> None:
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            try:
                news = await self._follow()
            except BrokerUnavailable as error:
                self.trouble = error
                await self._pause(pause_seconds)
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
            else:
                self.trouble = None
                pause_seconds = FIRST_PAUSE_SECONDS
                if not news:
                    await self._pause(ONLY_OWN_SECONDS)

    async def _pause(self, seconds: float) -> None:
        self._answers_again.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._answers_again.wait()

    def hurry(self) -> None:
        """Look now: the broker answers again, or others have appended something."""
        self._answers_again.set()

    async def _follow(self) -> bool:
        """Read once; False if that brought nothing but what this dispatcher has appended itself."""
        wanted = {self._ledger: (self._replica.position, MOST_BYTES)}
        found: Fetched = only(
            await self._partitions.fetch(
                Lane.FOLLOW, wanted, wait_seconds=self._wait_seconds, most_bytes=MOST_BYTES
            )
        )
        if found.out_of_range:
            log.warning("the ledger no longer has what comes next here: loading its latest snapshot")
            await self._reload()
            return True
        before = self._replica.position
        await self._apply(found.data)
        return self._replica.position > before or not found.data

    async def _apply(self, data: bytes) -> None:
        applied = 0
        for _, records in read_batches(data, self._replica.position):
            for record in records:
                if record.value is None:
                    raise Refused("a record of the ledger is damaged", retryable=False)
                try:
                    self._replica.apply(record.offset, record.timestamp_ms, record.value)
                except NewerRecord as error:
                    reason = "the ledger has a record of a later version: update this dispatcher"
                    raise Refused(reason, retryable=False) from error
            applied += len(records)
            if applied >= RECORDS_PER_TURN:
                applied = 0
                self._replica.applied()
                await asyncio.sleep(0)
        self._replica.applied()

    async def close(self) -> None:
        """Stop. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
