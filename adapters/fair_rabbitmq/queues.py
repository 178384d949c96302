"""What the broker says of queues, asked by passive declarations, which change nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from pamqp.base import Frame
from pamqp.commands import Queue

from broker_core.errors import BrokerUnavailable
from fair_rabbitmq.buffers import Arrival, Source
from fair_rabbitmq.connection import Link
from fair_rabbitmq.errors import is_about_a_missing_queue
from fair_rabbitmq.line import Line

_RETURN_SECONDS = 1.0
_LOOK_SECONDS = 0.005
_QUEUES_AT_ONCE = 500


class Queues:
    """Counts and finds queues, many at once: a round trip for some hundreds."""

    def __init__(self, link: Link, line: Line) -> None:
        self._link = link
        self._line = line
        self._returned: Counter[str] = Counter()
        self._returned_at = 0.0

    async def ready_counts(self, queues: Sequence[str]) -> list[int]:
        """Count what is ready in queues; 0 for one that doesn't exist."""
        counts: list[int] = []
        for start in range(0, len(queues), _QUEUES_AT_ONCE):
            part = queues[start : start + _QUEUES_AT_ONCE]
            try:
                answers = await self._line.call([Queue.Declare(queue=queue, passive=True) for queue in part])
            except BrokerUnavailable as error:
                if error.retryable and not self._link.is_up:
                    raise
                answers = []
            if len(answers) == len(part):
                counts += [_count(answer) for answer in answers]
            else:
                counts += [await self._ready_count(queue) for queue in part]
        return counts

    async def _ready_count(self, queue: str) -> int:
        try:
            (answer,) = await self._line.call([Queue.Declare(queue=queue, passive=True)])
        except BrokerUnavailable as error:
            if is_about_a_missing_queue(error):
                return 0
            raise
        return _count(answer)

    async def find_missing(self, sources: Sequence[Source]) -> None:
        """Note which of these queues don't exist; consuming one of them would end the session."""
        for start in range(0, len(sources), _QUEUES_AT_ONCE):
            part = sources[start : start + _QUEUES_AT_ONCE]
            try:
                await self._line.call([Queue.Declare(queue=one.queue, passive=True) for one in part])
            except BrokerUnavailable as error:
                if not is_about_a_missing_queue(error):
                    raise
                for one in part:
                    one.missing = one.missing or not await self._exists(one.queue)

    async def _exists(self, queue: str) -> bool:
        try:
            await self._line.call([Queue.Declare(queue=queue, passive=True)])
        except BrokerUnavailable as error:
            if is_about_a_missing_queue(error):
                return False
            raise
        return True

    def note_returned(self, arrivals: Iterable[Arrival]) -> None:
        """Note what was given back just now: the broker counts it a moment later."""
        for arrival in arrivals:
            self._returned[arrival.source.queue] += 1
            self._returned_at = time.monotonic()

    def came_again(self, queue: str) -> None:
        """Note that something which was given back to this queue isn't ready any more, but here."""
        if self._returned[queue] > 1:
            self._returned[queue] -= 1
        else:
            del self._returned[queue]

    async def until_returned(self) -> None:
        """Return when the broker counts what was given back just now, or somebody may have taken it."""
        while self._returned and time.monotonic() - self._returned_at < _RETURN_SECONDS:
            queues = list(self._returned)
            counts = await self.ready_counts(queues)
            if all(count >= self._returned[queue] for queue, count in zip(queues, counts, strict=True)):
                break
            await asyncio.sleep(_LOOK_SECONDS)
        self._returned.clear()


def _count(answer: Frame) -> int:
    return int(getattr(answer, "message_count", 0) or 0)
