"""Writes snapshots into the journal, often enough that one is always among what the stream keeps."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable

from broker_core.errors import DispatcherError
from fair_rabbitmq.ending import end_tasks
from fair_rabbitmq.journal.events import Event, SnapshotBegins, SnapshotEnds, SnapshotPart
from fair_rabbitmq.journal.following import Assembly
from fair_rabbitmq.journal.snapshots import dump

log = logging.getLogger(__name__)

# Of what has to be appended first: a random part, so that one dispatcher begins before the others; more
# when one that began doesn't come to its end.
_DRAWN, _PATIENCE = 0.5, 1.5
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
        self._latest: int | None = None
        self._factor = self._patient_factor = 0.0
        self._warned = False

    def consider(self, assembly: Assembly) -> None:
        """Start to write a snapshot if it is time; to be called after entries were taken in."""
        if assembly.collector.latest != self._latest:
            self._latest = assembly.collector.latest
            self._factor = 1 + random.uniform(0, _DRAWN)  # noqa: S311 - not secret
            self._patient_factor = self._factor + _PATIENCE
        size_bytes = assembly.collector.size_bytes
        due = max(self._snapshot_bytes, 2 * size_bytes)
        factor = self._patient_factor if assembly.collector.begun else self._factor
        if assembly.bytes_since_snapshot < due * factor or not (self._task is None or self._task.done()):
            return
        if _RETAINED * (due + size_bytes) > self._max_bytes and not self._warned:
            self._warned = True
            log.warning("the journal's stream is small for what it has to keep: raise its largest size")
        self._factor = self._patient_factor = assembly.bytes_since_snapshot / due + _PATIENCE
        self._task = asyncio.create_task(self._write(assembly))

    async def close(self) -> None:
        """Stop writing. Idempotent."""
        if self._task is not None:
            await end_tasks([self._task])

    async def _write(self, assembly: Assembly) -> None:
        if assembly.replica is None:
            return
        name, count = secrets.token_hex(8), 0
        parts = dump(assembly.replica)
        try:
            await self._append(SnapshotBegins(name, assembly.offset))
            for data in parts:
                await self._append(SnapshotPart(name, count, data))
                count += 1
            await self._append(SnapshotEnds(name, count))
        except DispatcherError as error:
            log.info("no snapshot of the journal now: %s", error)
