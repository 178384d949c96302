"""Messages that wait for their first delivery, kept as runs in a few bytes each."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from typing import NamedTuple

# A row: serial, offset, time of publishing, and in the fourth word partition, size and cost.
_WIDTH = 4
COST_BITS, SIZE_BITS, PARTITION_BITS = 20, 24, 19
MOST_PARTITIONS = 1 << PARTITION_BITS
_COST_MASK = (1 << COST_BITS) - 1
_SIZE_MASK = (1 << SIZE_BITS) - 1
_PARTITION_SHIFT = COST_BITS + SIZE_BITS
_DROP_ROWS_AT = 64 * _WIDTH
_NO_OFFSET = 1 << 62


class Fresh(NamedTuple):
    """A run of messages. size 0: not a run but an entry that was redriven; serial names it."""

    serial: int
    offset: int
    published_ms: int
    partition: int
    size: int
    cost: int


class FreshRuns:
    """Runs in the order in which they came; 32 bytes each, however long they are.

    Serials and offsets of a run are consecutive.
    """

    __slots__ = ("_head", "_rows", "_taken")

    def __init__(self) -> None:
        self._rows = array("q")
        self._head = 0
        self._taken = 0  # of the first run

    def __bool__(self) -> bool:
        return self._head < len(self._rows)

    def push(self, serial: int, offset: int, published_ms: int, partition: int, size: int, cost: int) -> None:
        """Append a run of one message or more."""
        packed = (partition << SIZE_BITS | size) << COST_BITS | cost
        self._rows.extend((serial, offset, published_ms, packed))

    def push_entry(self, serial: int, cost: int) -> None:
        """Append an entry."""
        self._rows.extend((serial, _NO_OFFSET, 0, cost))

    def head_cost(self) -> int:
        """Return the cost of the first message."""
        return self._rows[self._head + 3] & _COST_MASK

    def head_offset(self) -> int:
        """Return the offset of the first message, a very high one if it is an entry."""
        return self._rows[self._head + 1] + self._taken

    def pop(self, most: int, budget: int) -> tuple[int, int, int, int, int, int] | None:
        """Take out what is left of the first run, up to `most` messages that cost up to `budget` together.

        Returns the fields of a Fresh, as a plain tuple, which is quicker to make; None if even the first
        message costs more than the budget. There has to be a message, and `most` is 1 and up.
        """
        rows, head, taken = self._rows, self._head, self._taken
        serial, offset, published_ms, packed = rows[head : head + _WIDTH]
        cost = packed & _COST_MASK
        if cost > budget:
            return None
        size = packed >> COST_BITS & _SIZE_MASK
        part = min(size - taken, most, budget // cost if cost else most)
        if taken + part < size:
            self._taken = taken + part
        else:
            self._taken = 0
            self._head = head + _WIDTH
            if self._head >= _DROP_ROWS_AT and 2 * self._head >= len(rows):
                self._drop_rows()
        return serial + taken, offset + taken, published_ms, packed >> _PARTITION_SHIFT, part, cost

    def head_place(self) -> tuple[int, int] | None:
        """Return partition and offset of the first message; None if there is none, or if it is an entry."""
        head = self._head
        if head >= len(self._rows):
            return None
        packed = self._rows[head + 3]
        if not packed >> COST_BITS & _SIZE_MASK:
            return None
        return packed >> _PARTITION_SHIFT, self._rows[head + 1] + self._taken

    def _drop_rows(self) -> None:
        del self._rows[: self._head]
        self._head = 0

    def __iter__(self) -> Iterator[Fresh]:
        """Yield the runs; of the first one, what is left of it."""
        taken = self._taken
        for at in range(self._head, len(self._rows), _WIDTH):
            serial, offset, published_ms, packed = self._rows[at : at + _WIDTH]
            size = packed >> COST_BITS & _SIZE_MASK
            partition, cost = packed >> _PARTITION_SHIFT, packed & _COST_MASK
            yield Fresh(
                serial + taken, offset + taken, published_ms, partition, size - taken if size else 0, cost
            )
            taken = 0

    def clear(self) -> None:
        """Forget everything."""
        self._rows = array("q")
        self._head = self._taken = 0

    def export_state(self) -> tuple[bytes, int]:
        """Return the rows as little-endian numbers of 64 bits, and how much of the first run is taken."""
        rows = self._rows[self._head :]
        if sys.byteorder == "big":
            rows.byteswap()
        return rows.tobytes(), self._taken

    def restore_state(self, rows: bytes, taken: int) -> None:
        """Hold what the one held that `export_state` was called on."""
        self._rows = array("q", rows)
        if sys.byteorder == "big":
            self._rows.byteswap()
        self._head, self._taken = 0, taken
