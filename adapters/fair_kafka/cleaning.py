"""Cleans up: deletes records of messages that are gone, keeps the ledger short. One dispatcher does it."""

from __future__ import annotations

import asyncio
import logging

from broker_core.errors import BrokerUnavailable
from fair_kafka.clock import LedgerClock
from fair_kafka.ledger.commands import Clean, Janitor, Topic
from fair_kafka.ledger.outcomes import Cleaned, JanitorIs
from fair_kafka.partitions import EARLIEST, LATEST, Partitions, Place
from fair_kafka.relocating import Relocator
from fair_kafka.replica import Replica
from fair_kafka.session import Session
from fair_kafka.snapshots import Snapshots
from fair_kafka.topics import TopicNames

log = logging.getLogger(__name__)

PERIOD_SECONDS = 1.0
SWEEP_SECONDS = 30.0
ROLE_MS, RENEW_MS = 15_000, 7_000
KEEP_ALIVE_SECONDS = 900.0
MOST_PARTITIONS = 1000
# A snapshot is worth while when replaying what came since costs about as much as loading it.
FEWEST_BYTES_BETWEEN_SNAPSHOTS = 512 << 10
BYTES_PER_RECORD = 500


class Cleaner:
    """Looks once a second for something to clean, and does it if no other dispatcher has that role."""

    def __init__(
        self,
        session: Session,
        partitions: Partitions,
        replica: Replica,
        snapshots: Snapshots,
        relocator: Relocator,
        names: TopicNames,
        clock: LedgerClock,
    ) -> None:
        self._session = session
        self._partitions = partitions
        self._replica = replica
        self._snapshots = snapshots
        self._relocator = relocator
        self._topics = {
            Topic.MESSAGES: names.messages,
            Topic.RETRY: names.retry,
            Topic.DEAD_LETTERS: names.dead,
        }
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._next_sweep = 0.0
        self._swept_at = -1
        self._ends: dict[Place, int] = {}

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._clean_for_ever(), name="fair-dispatcher-clean")

    async def _clean_for_ever(self) -> None:
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            try:
                await self.clean()
            except BrokerUnavailable as error:
                log.debug("cleaning is put off: %s", error)

    async def clean(self) -> None:
        """Do what there is to do now, unless it is another dispatcher's role."""
        now = asyncio.get_running_loop().time()
        if now - self._session.last_said > KEEP_ALIVE_SECONDS:
            await self._session.pass_time()
        ledger = self._replica.ledger
        chosen = self._relocator.chosen()
        sweeps = now >= self._next_sweep and self._swept_at != self._replica.position
        if not (ledger.cleanable() or chosen or sweeps or self._needs_snapshot()):
            return
        if not await self._has_role():
            return
        if chosen:
            await self._relocator.move(chosen)
        await self._release({(part.topic, part.partition): part.up_to for part in ledger.cleanable()})
        if sweeps:
            await self._sweep()
            self._next_sweep = now + SWEEP_SECONDS
            self._swept_at = self._replica.position
        if self._needs_snapshot():
            await self._snapshots.write(self._replica.ledger)
            self._replica.since_snapshot(0, 0)

    async def _has_role(self) -> bool:
        janitor = self._replica.ledger.janitor
        left_ms = self._clock.seconds_until(janitor.until_ms) * 1000
        if janitor.session != self._session.number:
            if left_ms > 0:
                return False
            self._swept_at = -1  # the one before may have been stopped in the middle
        elif left_ms > RENEW_MS:
            return True
        outcome = await self._session.run(lambda s, n: Janitor(s, n, ROLE_MS), JanitorIs)
        return outcome.session == self._session.number

    async def _release(self, wanted: dict[tuple[int, int], int], *, orphans: bool = False) -> None:
        """Have the ledger release records, then delete as far as it did."""
        parts = list(wanted.items())[:MOST_PARTITIONS]
        if not parts:
            return
        released: dict[Place, int] = {}

        async def release(topic: int, partition: int, up_to: int) -> None:
            outcome = await self._session.run(
                lambda s, n: Clean(s, n, topic, partition, up_to, orphans), Cleaned
            )
            released[self._topics[Topic(topic)], partition] = outcome.released

        # All at once, so that they share a record of the ledger.
        await asyncio.gather(*(release(topic, partition, up_to) for (topic, partition), up_to in parts))
        await self._delete(released)

    async def _delete(self, offsets: dict[Place, int]) -> None:
        for answer in (await self._partitions.delete_before(offsets)).values():
            if isinstance(answer, BrokerUnavailable):
                # The next sweep does it.
                self._swept_at, self._next_sweep = -1, 0.0
                raise answer

    async def _sweep(self) -> None:
        """Delete what was released and is still there, and records that nobody announced for a while."""
        ledger = self._replica.ledger
        places = {
            (self._topics[Topic(topic)], partition): (topic, partition)
            for topic, count in ((0, ledger.partition_count), (1, 1), (2, 1))
            for partition in range(count)
        }
        starts = await self._partitions.ends(list(places), EARLIEST)
        ends = await self._partitions.ends(list(places), LATEST)
        undeleted: dict[Place, int] = {}
        orphans: dict[tuple[int, int], int] = {}
        known: dict[Place, int] = {}
        for place, (topic, partition) in places.items():
            start, end = starts[place], ends[place]
            if isinstance(start, BrokerUnavailable) or isinstance(end, BrokerUnavailable):
                continue
            part = ledger.log_of(topic, partition)
            if start < min(part.released, end):
                undeleted[place] = min(part.released, end)
            if not part.live and end > max(part.end, start):
                known[place] = end
                if self._ends.get(place) == end:
                    orphans[topic, partition] = end
        self._ends = known
        if undeleted:
            await self._delete(undeleted)
        await self._release(orphans, orphans=True)

    def _needs_snapshot(self) -> bool:
        records, size_bytes = self._replica.unsaved
        least = max(FEWEST_BYTES_BETWEEN_SNAPSHOTS, 2 * self._snapshots.last_bytes)
        return size_bytes + BYTES_PER_RECORD * records >= least

    async def close(self) -> None:
        """Stop. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
