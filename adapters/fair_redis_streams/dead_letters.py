"""Lists, redrives and removes dead letters."""

from __future__ import annotations

import base64
import binascii
import contextlib
import heapq
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from broker_core import envelope
from broker_core.errors import InvalidArgument
from broker_core.model import DeadLetter, Message, Page
from fair_redis_streams.receiving import published_at
from fair_redis_streams.server import Server
from fair_redis_streams.shards import shard_of

MOST_PER_CALL = 500

# Time of death in ms, ref, record.
Grave = tuple[int, str, bytes]
Position = tuple[str, str]


class DeadLetters:
    """The dead letters of the namespace."""

    def __init__(self, server: Server, shards: int) -> None:
        self._server = server
        self._shards = shards

    async def page(self, customer: str | None, limit: int, cursor: str | None) -> Page[DeadLetter]:
        """List dead letters, the oldest death first over all shards."""
        shards = range(self._shards) if customer is None else [shard_of(customer, self._shards)]
        positions = _read_cursor(cursor)
        found = {
            shard: await self._graves(shard, customer or "", limit, positions.get(shard, ("", "")))
            for shard in shards
        }
        merged = heapq.merge(
            *([(died, shard, ref, record) for died, ref, record in graves] for shard, graves in found.items())
        )
        letters: list[DeadLetter] = []
        for died_ms, shard, ref, record in merged:
            if len(letters) == limit:
                break
            letters.append(_dead_letter(shard, ref, died_ms, record))
            positions[shard] = (str(died_ms), ref)
        complete = sum(map(len, found.values())) <= limit and all(
            len(graves) < limit for graves in found.values()
        )
        return Page(letters, None if complete else _write_cursor(positions))

    async def _graves(self, shard: int, customer: str, limit: int, after: Position) -> list[Grave]:
        answer = await self._server.run("dead_letters", shard, customer, limit, *after)
        return [
            (int(float(answer[i + 1])), answer[i].decode(), answer[i + 2]) for i in range(0, len(answer), 3)
        ]

    async def end(self, customer: str, ids: Sequence[str] | None, *, redrive: bool) -> int:
        """Redrive or remove the chosen ones, or all that are dead when it begins; return how many."""
        operation = "redrive" if redrive else "purge_dead_letters"
        shard = shard_of(customer, self._shards)
        if ids is not None:
            refs = [ref for ref in (_ref_of(one, customer, shard) for one in ids) if ref is not None]
            ended = 0
            for start in range(0, len(refs), MOST_PER_CALL):
                part = refs[start : start + MOST_PER_CALL]
                ended += (await self._server.run(operation, shard, customer, "", MOST_PER_CALL, *part))[0]
            return ended
        ended, cut, more = 0, b"", 1
        while more:
            count, cut, more = await self._server.run(operation, shard, customer, cut, MOST_PER_CALL)
            ended += count
        return ended


def _ref_of(message_id: str, customer: str, shard: int) -> str | None:
    entry_id, _, end = message_id.rpartition("-")
    return f"{entry_id}:{customer}" if end == str(shard) and entry_id else None


def _dead_letter(shard: int, ref: str, died_ms: int, record: bytes) -> DeadLetter:
    entry_id, _, customer = ref.partition(":")
    attempts, cost, kind, length, rest = record.split(b":", 4)
    reason, data = rest[: int(length)], rest[int(length) :]
    message = Message(customer, data, cost=int(cost))
    if kind == b"e":
        # One that can't be decoded is shown as it was found.
        with contextlib.suppress(envelope.UndecodableEnvelope):
            message = envelope.decode(data, customer, int(cost))
    return DeadLetter(
        f"{entry_id}-{shard}",
        message,
        int(attempts),
        reason.decode("utf-8", "replace"),
        published_at(entry_id),
        datetime.fromtimestamp(died_ms / 1000, UTC),
    )


def _write_cursor(positions: dict[int, Position]) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(positions.items())).encode()).decode()


def _read_cursor(cursor: str | None) -> dict[int, Position]:
    if cursor is None:
        return {}
    try:
        entries = json.loads(base64.urlsafe_b64decode(cursor))
        return {int(shard): (str(int(died)), str(ref)) for shard, (died, ref) in entries}
    except (ValueError, TypeError, binascii.Error) as error:
        raise InvalidArgument("cursor must be one that dead_letters() returned") from error
