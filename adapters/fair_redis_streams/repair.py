"""Puts customers back into the ring that a function which failed half way has left out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from broker_core.errors import DispatcherError
from fair_redis_streams import keys
from fair_redis_streams.server import Server

log = logging.getLogger(__name__)

SCAN_COUNT = 1000
CUSTOMERS_PER_CALL = 100
PAUSE_SECONDS = 5.0


class Repairer:
    """Looks through the namespace after a server function failed, at most every PAUSE_SECONDS."""

    def __init__(self, server: Server, namespace: str, shards: int) -> None:
        self._server = server
        self._namespace = namespace
        self._shards = shards
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watch for failures from now on."""
        self._task = asyncio.create_task(self._watch(), name="fair-dispatcher-repair")

    async def close(self) -> None:
        """Stop. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            await self._server.suspect.wait()
            self._server.suspect.clear()
            try:
                repaired = await self.repair()
            except DispatcherError as error:
                log.warning("the ready ring could not be checked: %s", error)
                self._server.suspect.set()
            else:
                if repaired:
                    log.warning("%d customers were put back into the ready ring", repaired)
            await asyncio.sleep(PAUSE_SECONDS)

    async def repair(self) -> int:
        """Check every customer with something ready; return how many had to be put back."""
        repaired = 0
        for shard in range(self._shards):
            ring = await self._server.command("LRANGE", keys.ring(self._namespace, shard), 0, -1)
            members = await self._server.command("HKEYS", keys.deficit(self._namespace, shard))
            sound = set(ring) & set(members)
            missing = [customer async for customer in self._with_ready(shard) if customer not in sound]
            for start in range(0, len(missing), CUSTOMERS_PER_CALL):
                part = missing[start : start + CUSTOMERS_PER_CALL]
                repaired += await self._server.run("repair", shard, *part)
        return repaired

    async def _with_ready(self, shard: int) -> AsyncIterator[bytes]:
        for attribute in ("ready_of", "returned_of"):
            start = keys.with_customers(self._namespace, shard, attribute=attribute)
            cursor = b"0"
            while True:
                cursor, found = await self._server.command(
                    "SCAN", cursor, "MATCH", start + b"*", "COUNT", SCAN_COUNT
                )
                for key in found:
                    yield key[len(start) :]
                if int(cursor) == 0:
                    break
