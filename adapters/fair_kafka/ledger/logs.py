"""What is live in each partition, and so how far its records may be deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fair_kafka.ledger.commands import Topic

# Live messages are counted by blocks of so many offsets: exact at no message left, cheap at millions.
BLOCK_BITS = 8


class PartitionLog:
    """One partition: counts of live messages, the end of what was announced, what was released.

    end: one more than the highest offset that any command named. released: offsets below may be deleted.
    """

    __slots__ = ("blocks", "end", "partition", "released", "topic")

    def __init__(self, topic: int, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.end = 0
        self.released = 0
        self.blocks: dict[int, int] = {}

    def announce(self, offset: int, size: int) -> None:
        """Note that these offsets were named by a command."""
        if offset + size > self.end:
            self.end = offset + size

    def add(self, offset: int, size: int) -> None:
        """Count messages at consecutive offsets as live."""
        blocks = self.blocks
        block = offset >> BLOCK_BITS
        if offset + size - 1 >> BLOCK_BITS == block:
            blocks[block] = blocks.get(block, 0) + size
            return
        for block, part in _by_block(offset, size):
            blocks[block] = blocks.get(block, 0) + part

    def remove(self, offset: int, size: int = 1) -> None:
        """Count them as live no more."""
        blocks = self.blocks
        for block, part in _by_block(offset, size):
            left = blocks[block] - part
            if left:
                blocks[block] = left
            else:
                del blocks[block]

    def remove_one(self, offset: int) -> None:
        """Count one message as live no more."""
        blocks = self.blocks
        block = offset >> BLOCK_BITS
        left = blocks[block] - 1
        if left:
            blocks[block] = left
        else:
            del blocks[block]

    def remove_all(self, offsets: Iterable[int]) -> None:
        """Count messages as live no more."""
        blocks = self.blocks
        for offset in offsets:
            block = offset >> BLOCK_BITS
            left = blocks[block] - 1
            if left:
                blocks[block] = left
            else:
                del blocks[block]

    @property
    def live(self) -> int:
        """How many messages are live here."""
        return sum(self.blocks.values())

    @property
    def low(self) -> int:
        """No message below is live; less than a block under the first that is, or the end if none is."""
        if not self.blocks:
            return max(self.end, self.released)
        return max(min(self.blocks) << BLOCK_BITS, self.released)

    def release(self, up_to: int, *, orphans: bool) -> int:
        """Release what may be deleted below up_to and return how far that is."""
        allowed = self.low if self.blocks or not orphans else up_to
        self.released = max(self.released, min(up_to, allowed))
        self.end = max(self.end, self.released)
        return self.released


def _by_block(offset: int, size: int) -> Iterator[tuple[int, int]]:
    end = offset + size
    while offset < end:
        block = offset >> BLOCK_BITS
        next_offset = min(end, block + 1 << BLOCK_BITS)
        yield block, next_offset - offset
        offset = next_offset


class CleanablePart(NamedTuple):
    """Records of a partition below up_to that may be released and deleted."""

    topic: int
    partition: int
    up_to: int


class Logs:
    """All partitions that any command named."""

    def __init__(self) -> None:
        self._logs: tuple[dict[int, PartitionLog], ...] = tuple({} for _ in Topic)
        self._messages = self._logs[Topic.MESSAGES]

    def of_messages(self, partition: int) -> PartitionLog:
        """Return a partition of Topic.MESSAGES."""
        log = self._messages.get(partition)
        return self.of(Topic.MESSAGES, partition) if log is None else log

    def of(self, topic: int, partition: int) -> PartitionLog:
        """Return the partition, which is made if it wasn't named before."""
        logs = self._logs[topic]
        log = logs.get(partition)
        if log is None:
            log = logs[partition] = PartitionLog(topic, partition)
        return log

    def __iter__(self) -> Iterator[PartitionLog]:
        for logs in self._logs:
            yield from logs.values()

    def cleanable(self) -> list[CleanablePart]:
        """List the partitions with records that are no longer needed but were not released."""
        return [
            CleanablePart(log.topic, log.partition, low) for log in self if (low := log.low) > log.released
        ]
