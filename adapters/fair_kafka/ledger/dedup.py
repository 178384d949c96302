"""Remembers for a while under which id a (customer, Message.id) was stored."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from hashlib import blake2b

from fair_kafka.ledger.commands import KEY_BYTES


def dedup_key(customer: str, message_id: str) -> bytes:
    """Return the key of a producer's id: never the same for two that differ, as far as a hash can promise."""
    name = customer.encode()
    return blake2b(len(name).to_bytes(4, "big") + name + message_id.encode(), digest_size=KEY_BYTES).digest()


class Dedup:
    """Knows the serial of each key until its time is over; what was noted together ends together."""

    def __init__(self) -> None:
        self._serials: dict[bytes, int] = {}
        self._ends: list[tuple[int, int, list[bytes]]] = []  # a heap: end, a number that differs, keys
        self._count = 0

    def __len__(self) -> int:
        return len(self._serials)

    def __contains__(self, key: bytes) -> bool:
        return key in self._serials

    def find(self, key: bytes) -> int | None:
        """Return what was stored under the key, None if there is nothing or it is too old."""
        return self._serials.get(key)

    def remember(self, key: bytes, serial: int) -> None:
        """Note the serial of a key that isn't known; `keep` says for how long."""
        self._serials[key] = serial

    def keep(self, keys: list[bytes], until_ms: int) -> None:
        """Remember these keys until then."""
        self._count += 1
        heapq.heappush(self._ends, (until_ms, self._count, keys))

    def forget_old(self, now_ms: int) -> None:
        """Drop every key whose time is over."""
        while self._ends and self._ends[0][0] <= now_ms:
            for key in heapq.heappop(self._ends)[2]:
                del self._serials[key]

    def export_state(self) -> list[tuple[int, list[bytes], list[int]]]:
        """Return end, keys and serials of what was noted together, the first end first."""
        return [
            (until_ms, keys, [self._serials[key] for key in keys]) for until_ms, _, keys in sorted(self._ends)
        ]

    def restore(self, until_ms: int, keys: Sequence[bytes], serials: Sequence[int]) -> None:
        """Know one item of `export_state` again."""
        self._serials.update(zip(keys, serials, strict=True))
        self.keep(list(keys), until_ms)
