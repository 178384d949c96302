"""Remembers for a while under which id a (customer, Message.id) was stored."""

from __future__ import annotations


class Dedup:
    """Knows the broker's id of each key until its time is over."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[str, float]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: tuple[str, str], now: float) -> str | None:
        """Return the id that was stored under the key, None if there is none or it is too old."""
        known = self._known.get(key)
        return known[0] if known is not None and known[1] > now else None

    def remember(self, key: tuple[str, str], stored: str, until: float) -> None:
        """Note under which id the key was stored."""
        self._known.pop(key, None)  # so that what was noted first comes first
        self._known[key] = (stored, until)

    def forget_old(self, now: float) -> None:
        """Drop what is too old; what is hidden behind a longer window goes later."""
        while self._known:
            key = next(iter(self._known))
            if self._known[key][1] > now:
                return
            del self._known[key]
