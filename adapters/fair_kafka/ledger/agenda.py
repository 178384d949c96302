"""What has to happen at a time: leases that end, delays that are over."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from fair_kafka.ledger.entries import Entry

_STALE_TIMES = 1024


class Agenda:
    """Holds each entry with one time and gives back those whose time has come, the earliest first.

    Entries of the same time come in the order of their serials.
    """

    def __init__(self) -> None:
        self._by_time: dict[int, dict[int, Entry]] = {}
        # May hold times at which nothing is planned any more; `_by_time` decides.
        self._times: list[int] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Entry]:
        for entries in self._by_time.values():
            yield from entries.values()

    def plan(self, when_ms: int, entry: Entry) -> None:
        """Put an entry that isn't planned at this time."""
        entries = self._by_time.get(when_ms)
        if entries is None:
            entries = self._by_time[when_ms] = {}
            heapq.heappush(self._times, when_ms)
            if len(self._times) > 2 * len(self._by_time) + _STALE_TIMES:
                self._times = sorted(self._by_time)
        entries[entry.serial] = entry
        entry.due_ms = when_ms
        self._size += 1

    def plan_new(self, when_ms: int, entries: Iterable[Entry]) -> None:
        """Put entries that aren't planned at all; their `due_ms` is that time already."""
        # The first one makes the place for the others.
        planned: dict[int, Entry] | None = None
        for entry in entries:
            if planned is None:
                self.plan(when_ms, entry)
                planned = self._by_time[when_ms]
            else:
                planned[entry.serial] = entry
                self._size += 1

    def drop(self, entry: Entry) -> None:
        """Forget an entry that is planned."""
        entries = self._by_time[entry.due_ms]
        del entries[entry.serial]
        if not entries:
            del self._by_time[entry.due_ms]
        self._size -= 1

    def drop_all(self, entries: Iterable[Entry]) -> None:
        """Forget entries that are planned."""
        when_ms, planned = 0, None
        for entry in entries:
            if planned is None or entry.due_ms != when_ms:
                self._drop_time_if_empty(when_ms, planned)
                when_ms = entry.due_ms
                planned = self._by_time[when_ms]
            del planned[entry.serial]
            self._size -= 1
        self._drop_time_if_empty(when_ms, planned)

    def _drop_time_if_empty(self, when_ms: int, planned: dict[int, Entry] | None) -> None:
        if planned is not None and not planned:
            del self._by_time[when_ms]

    def pop_due(self, now_ms: int) -> list[Entry]:
        """Take out the entries of the first time that is `now_ms` or before; none if there is no such."""
        when_ms = self.next_time()
        if when_ms is None or when_ms > now_ms:
            return []
        heapq.heappop(self._times)
        entries = self._by_time.pop(when_ms)
        self._size -= len(entries)
        return [entries[serial] for serial in sorted(entries)]

    def next_time(self) -> int | None:
        """Tell the earliest time, None when nothing is planned."""
        while self._times and self._times[0] not in self._by_time:
            heapq.heappop(self._times)
        return self._times[0] if self._times else None
