"""Writes snapshots into the journal, often enough that one is always among what the stream keeps."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable

from broker_core.errors import DispatcherError
from fair_rabbitmq.journal.events import Event, SnapshotBegins, SnapshotEnds, SnapshotPart
from fair_rabbitmq.journal.following import Assembly
from fair_rabbitmq.journal.snapshots import dump

log = logging.getLogger(__name__)

_LONGEST_DRAW_SECONDS = 0.5
_PATIENCE_SECONDS = 5.0
_RETAINED = 3  # snapshots with what lies between them; fewer could be cut


class SnapshotWriter:
    """Writes one when much was appended since the last, unless another dispatcher is quicker.

    snapshot_bytes: how much, at least; it is twice the last snapshot's size if that is more, so that
    snapshots are at most a third of what is written.
    """

    def __init__(
        self, append: Callable[[Event], Awaitable[int]], snapshot_bytes: int, max_bytes: int
    ) -> None:
        self._append, self._snapshot_bytes, self._max_bytes = append, snapshot_bytes, max_bytes
        self._task: asyncio.Task[None] | None = None
        self._warned = False

    def consider(self, assembly: Assembly) -> None:
        """Start to write a snapshot if it is time; to be called after entries were taken in."""
        size_bytes = assembly.collector.size_bytes
        if assembly.bytes_since_snapshot < max(self._snapshot_bytes, 2 * size_bytes):
            return
        if _RETAINED * 3 * size_bytes > self._max_bytes and not self._warned:
            self._warned = True
            log.warning("the journal's stream is small for what it has to keep: raise its largest size")
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_unless_another(assembly))

    async def close(self) -> None:
        """Stop writing. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _write_unless_another(self, assembly: Assembly) -> None:
        # Whoever draws the shortest time writes it; the others see it begin. Not secret.
        latest = assembly.collector.latest
        await asyncio.sleep(random.uniform(0, _LONGEST_DRAW_SECONDS))  # noqa: S311
        if assembly.collector.begun:
            await asyncio.sleep(_PATIENCE_SECONDS)
        if assembly.collector.latest == latest:
            try:
                await self._write(assembly)
            except DispatcherError as error:
                log.info("no snapshot of the journal now: %s", error)
                await asyncio.sleep(_PATIENCE_SECONDS)

    async def _write(self, assembly: Assembly) -> None:
        if assembly.replica is None:
            return
        name, count = secrets.token_hex(8), 0
        parts = dump(assembly.replica)
        await self._append(SnapshotBegins(name, assembly.offset))
        for data in parts:
            await self._append(SnapshotPart(name, count, data))
            count += 1
        await self._append(SnapshotEnds(name, count))
        # Until it has been read back there is nothing new to be seen.
        await asyncio.sleep(0.1)
