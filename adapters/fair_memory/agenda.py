"""What has to happen at a time: leases that end, delays that are over."""

from __future__ import annotations

import heapq
import math

from fair_memory.states import Entry

_STALE_ITEMS = 64


class Agenda:
    """Holds each entry with one time and gives back those whose time has come, the earliest first.

    Entries of the same time come in the order of their ids. Every operation is O(log n), amortised.
    """

    def __init__(self) -> None:
        self._planned: dict[int, tuple[float, Entry]] = {}
        # May hold items that were dropped or planned anew; `_planned` decides.
        self._heap: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._planned)

    def plan(self, when: float, entry: Entry) -> None:
        """Put the entry at this time, in place of an earlier plan for it."""
        self._planned[entry.serial] = (when, entry)
        heapq.heappush(self._heap, (when, entry.serial))
        self._forget_stale()

    def drop(self, entry: Entry) -> None:
        """Forget the entry; no effect if it isn't planned."""
        self._planned.pop(entry.serial, None)
        self._forget_stale()

    def pop_due(self, now: float) -> Entry | None:
        """Remove and return the first entry whose time is `now` or before, None if there is none."""
        if self.next_time() > now:
            return None
        _, serial = heapq.heappop(self._heap)
        return self._planned.pop(serial)[1]

    def next_time(self) -> float:
        """Tell the earliest time, infinity when nothing is planned."""
        while self._heap:
            when, serial = self._heap[0]
            planned = self._planned.get(serial)
            if planned is not None and planned[0] == when:
                return when
            heapq.heappop(self._heap)
        return math.inf

    def _forget_stale(self) -> None:
        if len(self._heap) > 2 * len(self._planned) + _STALE_ITEMS:
            self._heap = [(when, serial) for serial, (when, _) in self._planned.items()]
            heapq.heapify(self._heap)
