"""Notices that an Idempotency-Key comes again with another message."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from time import monotonic

from broker_core import Message

MOST_REMEMBERED = 100_000


class Conflicts:
    """Remembers which message came under a key, for the dedup window, up to MOST_REMEMBERED in this process.

    The broker recognises a key in every process and stores its message once; what is known only here is
    whether the second message was the same.
    """

    def __init__(self, window_seconds: float) -> None:
        self._window_seconds = window_seconds
        self._known: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()

    def notice(self, message: Message, headers: dict[str, str]) -> bool:
        """Remember the message under its id; False if another one is known under that. headers: its own."""
        if message.id is None or self._window_seconds == 0:
            return True
        now = monotonic()
        key = _digest(message.customer, message.id)
        said = _digest(*(part for pair in sorted(headers.items()) for part in pair), str(message.cost))
        said = hashlib.blake2b(message.payload, digest_size=16, key=said).digest()
        known = self._known.get(key)
        if known is not None and known[1] > now:
            return known[0] == said
        self._known[key] = said, now + self._window_seconds
        self._known.move_to_end(key)
        while len(self._known) > MOST_REMEMBERED or next(iter(self._known.values()))[1] <= now:
            self._known.popitem(last=False)
        return True

    def forget(self, message: Message) -> None:
        """The message under this id was not stored: another one may come."""
        if message.id is not None:
            self._known.pop(_digest(message.customer, message.id), None)


def _digest(*parts: str) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.digest()
