"""Dead letters: what is dead and since when tells the journal, the payloads are in a store of their own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

from broker_core.errors import DispatcherError, InvalidArgument
from broker_core.model import DeadLetter, Page
from fair_rabbitmq.dead_store import Burial, DeadStore
from fair_rabbitmq.delays import Republish, log_failure
from fair_rabbitmq.ending import end_tasks
from fair_rabbitmq.journal.channels import Channels
from fair_rabbitmq.journal.dead_index import Dead
from fair_rabbitmq.journal.events import DeadRemoved, Death, Died, Revived, Reviving, RevivingFailed
from fair_rabbitmq.journal.stream import Journal

__all__ = ["Burial", "DeadLetters", "ToLetter"]

log = logging.getLogger(__name__)

ToLetter = Callable[[Burial], DeadLetter]
"""Decodes for people; for a body that can't be decoded the payload is the body."""

_CURSOR = re.compile(r"dead:([0-9]{1,18})", re.ASCII)
_AT_ONCE = 100  # that are redriven; their payloads are in memory
_REMOVED_AT_ONCE = 1000


class DeadLetters:
    """Buries, lists, redrives and removes dead letters; drops those that are older than the retention."""

    def __init__(
        self,
        channels: Channels,
        journal: Journal,
        stream: str,
        republish: Republish,
        to_letter: ToLetter,
        *,
        retention_seconds: float,
        timeout_seconds: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal, self._republish, self._to_letter = journal, republish, to_letter
        self._retention_seconds, self._clock = retention_seconds, clock
        self._store = DeadStore(
            channels, stream, retention_seconds=retention_seconds, timeout_seconds=timeout_seconds
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Declare what is needed. Raises BrokerUnavailable; then nothing is left running."""
        await self._store.declare()
        self._tasks = [asyncio.create_task(self._store.run()), asyncio.create_task(self._expire())]
        for task in self._tasks:
            task.add_done_callback(log_failure)

    async def close(self) -> None:
        """End all tasks. Idempotent; half a second at most."""
        await end_tasks(self._tasks)
        await self._store.close()

    async def bury(self, burials: Sequence[Burial]) -> None:
        """Store the payloads, then count the messages as dead; the caller acks the originals afterwards.

        After an error (BrokerUnavailable) the caller keeps the originals and may call again.
        """
        if not burials:
            return
        places = await self._store.store(burials)
        deaths = (
            Death(burial.parcel.id, burial.parcel.customer, place, burial.died_at)
            for burial, place in zip(burials, places, strict=True)
        )
        await self._journal.append(Died(tuple(deaths)))

    def expire(self) -> None:
        """Forget what is older than the retention, in all counts and listings; done once a second anyway."""
        with contextlib.suppress(DispatcherError):
            self._journal.replica.drop_dead_before(int((self._clock() - self._retention_seconds) * 1000))

    async def page(self, customer: str | None, limit: int, cursor: str | None) -> Page[DeadLetter]:
        """List dead letters as the seam says. A payload that isn't kept any more ends its dead letter."""
        after = _read_cursor(cursor)
        await self._journal.barrier()
        self.expire()
        found = list(islice(self._journal.replica.dead.after(after, customer), limit + 1))
        shown = found[:limit]
        burials = await self._store.fetch(dead.place for dead in shown)
        letters = [
            self._to_letter(replace(burials[dead.place], died_at=dead.died_at))
            for dead in shown
            if dead.place in burials
        ]
        self._forget_lost([dead for dead in shown if dead.place not in burials])
        return Page(letters, f"dead:{shown[-1].number}" if len(found) > limit else None)

    async def end(self, customer: str, ids: Sequence[str] | None, *, redrive: bool) -> int:
        """Redrive or remove dead letters as the seam says, in the order of their deaths."""
        await self._journal.barrier()
        self.expire()
        index = self._journal.replica.dead
        if ids is None:
            chosen = list(index.after(0, customer))
        else:
            named = (index.get(message_id) for message_id in dict.fromkeys(ids))
            chosen = [dead for dead in named if dead is not None and dead.customer == customer]
            chosen.sort(key=lambda dead: dead.number)
        size = _AT_ONCE if redrive else _REMOVED_AT_ONCE
        count = 0
        for start in range(0, len(chosen), size):
            part = chosen[start : start + size]
            count += await (self._redrive(part) if redrive else self._remove(part))
        return count

    async def _remove(self, chosen: Sequence[Dead]) -> int:
        free = [dead for dead in chosen if dead.reviving is None]
        if free:
            await self._journal.append(DeadRemoved(_pairs(free)))
        return len(free)

    async def _redrive(self, chosen: Sequence[Dead]) -> int:
        # Of two that redrive the same the journal's order tells who may; and while a claim stands,
        # a copy in the customer's queue isn't taken for the left-over of a crash.
        await self._journal.append(Reviving(_pairs(chosen)))
        await self._journal.barrier()
        index, me = self._journal.replica.dead, self._journal.dispatcher
        mine = [
            dead
            for dead in chosen
            if (now := index.get(dead.id)) is not None and (now.place, now.reviving) == (dead.place, me)
        ]
        revived: list[Dead] = []
        try:
            burials = await self._store.fetch(dead.place for dead in mine)
            kept = [dead for dead in mine if dead.place in burials]
            results = await asyncio.gather(
                *(self._republish(burials[dead.place].parcel) for dead in kept), return_exceptions=True
            )
            revived = [dead for dead, result in zip(kept, results, strict=True) if result is None]
            if revived:
                await self._journal.append(Revived(_pairs(revived)))
            for result in results:
                if result is not None:
                    raise result
        finally:
            if len(revived) < len(mine):
                failed = [dead for dead in mine if dead not in revived]
                self._journal.append_soon(RevivingFailed(_pairs(failed)))
        self._forget_lost([dead for dead in mine if dead not in kept])
        return len(revived)

    def _forget_lost(self, lost: Sequence[Dead]) -> None:
        if lost:
            log.error("the payloads of %d dead letters aren't kept any more", len(lost))
            self._journal.append_soon(DeadRemoved(_pairs(lost)))

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, max(0.05, self._retention_seconds / 4)))
            self.expire()


def _pairs(dead: Sequence[Dead]) -> tuple[tuple[str, int], ...]:
    return tuple((one.id, one.place) for one in dead)


def _read_cursor(cursor: str | None) -> int:
    if cursor is None:
        return 0
    match = _CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    if match is None:
        raise InvalidArgument("not a cursor of this listing: pass the one of the page before, or None")
    return int(match[1])
