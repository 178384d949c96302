"""Policies, backlogs and the listing of customers; removes a customer's messages."""

from __future__ import annotations

import json
from dataclasses import asdict

from broker_core.errors import InvalidArgument
from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, Page
from fair_redis_streams import keys
from fair_redis_streams.server import Server
from fair_redis_streams.settings import RedisStreamsSettings
from fair_redis_streams.shards import shard_of

MOST_PURGED_PER_CALL = 500
TOKENS_PER_CALL = 50
# A message that changes its state at the wrong moment is found by the next pass.
MOST_PURGE_PASSES = 10
LAST_STAGE = 5


class Customers:
    """What the namespace knows of its customers."""

    def __init__(self, server: Server, settings: RedisStreamsSettings, shards: int) -> None:
        self._server = server
        self._namespace = settings.namespace
        self._shards = shards
        self._quantum = settings.quantum
        self._sweep = (settings.max_attempts, int(settings.dead_letter_retention * 1000))

    async def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:
        """Replace the policy; None removes it."""
        fields = {} if policy is None else {k: v for k, v in asdict(policy).items() if v is not None}
        text = "" if policy is None else json.dumps(fields, separators=(",", ":"))
        weight, paused = fields.get("weight", 1), int(fields.get("paused", False))
        await self._server.run(
            "set_policy", shard_of(customer, self._shards), customer, text, weight, paused, self._quantum
        )

    async def inspect(self, customer: str | None) -> tuple[Backlog, CustomerPolicy | None]:
        """Count the messages of the customer or of all, and read the customer's policy."""
        shards = range(self._shards) if customer is None else [shard_of(customer, self._shards)]
        totals = [0, 0, 0, 0]
        policy = b""
        for shard in shards:
            *counts, policy = await self._server.run("inspect", shard, customer or "", *self._sweep)
            totals = [total + count for total, count in zip(totals, counts, strict=True)]
        return Backlog(*totals), CustomerPolicy(**json.loads(policy)) if policy else None

    async def page(self, limit: int, cursor: str | None) -> Page[CustomerBacklog]:
        """List customers shard by shard."""
        shard, stage, scan, offset = self._read_cursor(cursor)
        found: list[CustomerBacklog] = []
        while len(found) < limit:
            answer = await self._server.run("customers", shard, stage, scan, offset, limit - len(found))
            found += (
                CustomerBacklog(answer[i].decode(), Backlog(*answer[i + 1 : i + 5]))
                for i in range(3, len(answer), 5)
            )
            stage, scan, offset = answer[0], answer[1].decode(), answer[2]
            if stage == 0:
                shard, stage, scan, offset = shard + 1, 1, "0", 0
                if shard == self._shards:
                    return Page(found, None)
        return Page(found, f"{shard}.{stage}.{scan}.{offset}")

    def _read_cursor(self, cursor: str | None) -> tuple[int, int, str, int]:
        if cursor is None:
            return 0, 1, "0", 0
        try:
            shard, stage, scan, offset = map(int, cursor.split("."))
        except (ValueError, AttributeError) as error:
            raise InvalidArgument("cursor must be one that customers() returned") from error
        if not (0 <= shard < self._shards and 1 <= stage <= LAST_STAGE and min(scan, offset) >= 0):
            raise InvalidArgument("cursor must be one that customers() returned")
        return shard, stage, str(scan), offset

    async def purge(self, customer: str) -> int:
        """Remove what is ready, delayed or leased of the customer; return how many."""
        shard = shard_of(customer, self._shards)
        total, cut = 0, b""
        for _ in range(MOST_PURGE_PASSES):
            removed, more = 0, 1
            while more:
                count, cut, more = await self._server.run("purge", shard, customer, MOST_PURGED_PER_CALL, cut)
                removed += count
            removed += await self._purge_leases(shard, customer, cut)
            total += removed
            if not removed:
                break
        return total

    async def _purge_leases(self, shard: int, customer: str, cut: bytes) -> int:
        tokens = await self._server.command("ZRANGE", keys.leases(self._namespace, shard), 0, -1)
        removed = 0
        for start in range(0, len(tokens), TOKENS_PER_CALL):
            part = tokens[start : start + TOKENS_PER_CALL]
            removed += await self._server.run("purge_leases", shard, customer, cut, *part)
        return removed
