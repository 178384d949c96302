"""Notices that an Idempotency-Key comes again: with another message, or while its first is under way."""

from __future__ import annotations

import hashlib
import os
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from broker_core import Message
from fair_dispatcher.http import problems
from fair_dispatcher.http.problems import Problem
from fair_dispatcher.http.shared_table import Known, SharedTable

# Of the message, the process that publishes it (0: none does), the id as text.
_VALUE = struct.Struct("<16sI44p")
_LONGEST_ID = 43

VALUE_BYTES = _VALUE.size


@dataclass(frozen=True, slots=True)
class Claim:
    """One request's use of a key. first: nothing was known under it. id: its message is stored already."""

    key: bytes
    digest: bytes
    first: bool
    id: str | None


class Idempotency:
    """Remembers which message came under a key, for the dedup window, in all processes of the service.

    The broker recognises a key and stores its message once; what is known only here is whether the second
    message was the same. Where the broker recognises keys of one process only, ids are kept here too, so
    that all processes answer with the first one's.
    """

    def __init__(
        self, table: SharedTable, namespace: str, window_seconds: float, *, broker_knows_keys: bool
    ) -> None:
        """broker_knows_keys: those that came to any process."""
        self._table = table
        self._namespace = namespace
        self._window_seconds = window_seconds
        self._keeps_ids = not broker_knows_keys
        self._me = os.getpid()

    def claim(self, message: Message, headers: Mapping[str, str]) -> Claim | None:
        """Take the key for this message; None if it has none. headers: those that it brought itself.

        Raises Problem if another message is known under the key, or if another process is publishing this
        one, and the broker wouldn't recognise it.
        """
        if message.id is None or self._window_seconds == 0:
            return None
        key = _digest(self._namespace, message.customer, message.id)
        digest = hashlib.blake2b(
            message.payload, digest_size=16, key=_digest_beside(headers, message.cost)
        ).digest()
        now = time.time()
        found: list[tuple[bytes, int, str]] = []

        def take(known: Known | None) -> Known | None:
            if known is None:
                return _VALUE.pack(digest, self._me, b""), now + self._window_seconds
            first, owner, id_ = _VALUE.unpack(known[0])
            found.append((first, owner, id_.decode()))
            if self._keeps_ids and first == digest and not id_ and not self._is_at_work(owner):
                return _VALUE.pack(digest, self._me, b""), known[1]
            return None

        self._table.update(key, now, take)
        if not found:
            return Claim(key, digest, True, None)
        ((first, owner, id_),) = found
        if first != digest:
            raise Problem(problems.KEY_REUSED)
        if self._keeps_ids and not id_ and owner != self._me and self._is_at_work(owner):
            raise Problem(problems.OUTCOME_UNKNOWN, "the same is being published: repeat it", retry_after=1)
        return Claim(key, digest, False, id_ or None)

    def stored(self, claim: Claim | None, id_: str) -> None:
        """Its message is stored under this id."""
        if claim is None or not self._keeps_ids or len(id_) > _LONGEST_ID:
            return
        self._note(claim, _VALUE.pack(claim.digest, 0, id_.encode()))

    def failed(self, claim: Claim | None, *, may_be_stored: bool) -> None:
        """Its message was not stored: the key is free for another, if this was the first; or it may be."""
        if claim is None:
            return
        now = time.time()
        if not may_be_stored and claim.first:
            self._table.update(claim.key, now, lambda _: (b"", 0.0))
        elif self._keeps_ids:
            self._note(claim, _VALUE.pack(claim.digest, 0, b""))

    def _note(self, claim: Claim, value: bytes) -> None:
        now = time.time()

        def note(known: Known | None) -> Known | None:
            if known is None:
                return value, now + self._window_seconds
            return (value, known[1]) if known[0][: len(claim.digest)] == claim.digest else None

        self._table.update(claim.key, now, note)

    def _is_at_work(self, owner: int) -> bool:
        if owner in (0, self._me):
            return owner != 0
        try:
            os.kill(owner, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def _digest_beside(headers: Mapping[str, str], cost: int) -> bytes:
    """Return the digest of what a message is beside its payload."""
    if not headers:
        return _digest_of_cost(cost)
    return _digest(*(part for pair in sorted(headers.items()) for part in pair), str(cost))


@lru_cache(maxsize=1024)
def _digest_of_cost(cost: int) -> bytes:
    return _digest(str(cost))


def _digest(*parts: str) -> bytes:
    data = [part.encode("utf-8", "surrogatepass") for part in parts]
    joined = b"".join([len(one).to_bytes(4, "big") + one for one in data])
    return hashlib.blake2b(joined, digest_size=16).digest()
