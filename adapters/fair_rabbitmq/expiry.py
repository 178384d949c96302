"""Ends leases whose time is over."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from broker_core.adapter import Settlement, Verb
from broker_core.errors import DispatcherError
from fair_rabbitmq.ending import end_tasks
from fair_rabbitmq.leases import Lease, Leases
from fair_rabbitmq.settling import Settler

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.2
_EXPIRED = "lease expired"


class Expiry:
    """Gives back what its consumer has let expire, or buries it after the last attempt; runs once started."""

    def __init__(self, leases: Leases, settler: Settler, max_attempts: int) -> None:
        self._leases = leases
        self._settler = settler
        self._max_attempts = max_attempts
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch the ends of leases."""
        self._task = asyncio.create_task(self._expire_for_ever(), name="fair-dispatcher-expiry")

    async def _expire_for_ever(self) -> None:
        changed = self._leases.ends_changed
        while True:
            changed.clear()
            expired = self._leases.pop_expired()
            if expired:
                await self._expire(expired)
            end = self._leases.next_end()
            wait = None if end is None else max(0.0, end - time.monotonic())
            try:
                async with asyncio.timeout(wait):
                    await changed.wait()
            except TimeoutError:
                continue

    async def _expire(self, leases: Sequence[Lease]) -> None:
        held = [lease for lease in leases if lease.arrival.session.holds(lease.arrival)]
        if not held:
            return
        ends: dict[str, list[Lease]] = {}
        for lease in held:
            # Those that die need a message to be stored; the others don't have to wait for that.
            dies = _EXPIRED if lease.attempt >= self._max_attempts else ""
            ends.setdefault(lease.doom or dies, []).append(lease)
        failed = False
        for reason, theirs in sorted(ends.items()):
            verb = Verb.DEAD_LETTER if reason else Verb.NACK
            try:
                await self._settler.end(theirs, Settlement(verb, 0.0, reason or _EXPIRED))
            except DispatcherError as error:
                log.debug("expired leases are not given back yet: %s", error)
                failed = True
        if failed:
            await asyncio.sleep(_RETRY_SECONDS)

    async def close(self) -> None:
        """End watching. Idempotent, quick."""
        if self._task is not None:
            await end_tasks([self._task], 0.1)
