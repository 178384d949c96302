"""Appends commands to the ledger: those that come at the same time in one record, each once.

Once in effect: a command whose answer was lost is appended again under the same sequence, and a second
copy in the log changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from broker_core.errors import BrokerUnavailable
from fair_kafka.cluster import Lane
from fair_kafka.errors import AnswerLost, NotSent
from fair_kafka.ledger.codec import encode, join
from fair_kafka.ledger.commands import Command
from fair_kafka.ledger.outcomes import Outcome
from fair_kafka.partitions import Partitions, Place, Stored, only
from fair_kafka.records import build_batch

MOST_COMMANDS_PER_RECORD = 1000
MOST_BYTES_PER_RECORD = 4 << 20
PAUSE_SECONDS = 0.1
# While one record is on its way, the next one leaves: who acks and who receives don't wait for each other.
RECORDS_ON_THE_WAY = 2


class Ticket:
    """A command on its way. outcome: what the ledger answers.

    is_sent: it may be in the log. until: how long (loop time) it is tried to append it.
    """

    __slots__ = ("command", "data", "is_sent", "outcome", "until")

    def __init__(self, command: Command, until: float) -> None:
        self.command = command
        self.data = encode(command)
        self.until = until
        self.is_sent = False
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def fail(self, error: BrokerUnavailable) -> None:
        """Give up."""
        if self.outcome.done():
            return
        if self.is_sent and not isinstance(error, AnswerLost):
            lost = AnswerLost(str(error), retryable=error.retryable)
            lost.__cause__ = error.__cause__ or error
            error = lost
        self.outcome.set_exception(error)
        self.outcome.exception()  # seen, even if nobody waits for it any more


class Appended(Protocol):
    """Gets to know what was appended, where and when."""

    def __call__(self, stored: Stored, commands: Sequence[Command], size_bytes: int, /) -> None:
        """Take it in."""


class Log:
    """Appends to the ledger by tasks of its own. `appended` is called after each record.

    Commands that are sent off at the same time may be appended in any order.
    """

    def __init__(self, partitions: Partitions, ledger: Place, appended: Appended) -> None:
        self._partitions = partitions
        self._ledger = ledger
        self._appended = appended
        self._queue: deque[Ticket] = deque()
        self._filled = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [
            asyncio.create_task(self._append_for_ever(), name=f"fair-dispatcher-append-{number}")
            for number in range(RECORDS_ON_THE_WAY)
        ]

    def append(self, command: Command, patience_seconds: float) -> Ticket:
        """Have a command appended; its ticket fails when that didn't succeed in time."""
        ticket = Ticket(command, asyncio.get_running_loop().time() + patience_seconds)
        self._queue.append(ticket)
        self._filled.set()
        return ticket

    def forget(self, ticket: Ticket) -> None:
        """Don't try (again) to append it."""
        ticket.until = 0.0
        ticket.outcome.cancel()

    async def _append_for_ever(self) -> None:
        while True:
            await self._filled.wait()
            tickets = self._take()
            if not tickets:
                self._filled.clear()
                continue
            failure = await self._append(tickets)
            if failure is not None:
                self._try_again(tickets, failure)
                await asyncio.sleep(PAUSE_SECONDS)

    def _take(self) -> list[Ticket]:
        """Take what goes into one record, without what nobody waits for any more."""
        queue = self._queue
        tickets: list[Ticket] = []
        size_bytes = 0
        while queue and len(tickets) < MOST_COMMANDS_PER_RECORD:
            if tickets and size_bytes + len(queue[0].data) > MOST_BYTES_PER_RECORD:
                break
            ticket = queue.popleft()
            if not ticket.outcome.done():
                tickets.append(ticket)
                size_bytes += len(ticket.data)
        return tickets

    async def _append(self, tickets: list[Ticket]) -> BrokerUnavailable | None:
        before = [ticket.is_sent for ticket in tickets]
        for ticket in tickets:
            ticket.is_sent = True
        record = join(ticket.data for ticket in tickets)
        batch = {self._ledger: build_batch([(None, record, ())])}
        try:
            stored = only(await self._partitions.store(Lane.APPEND, batch))
        except NotSent as error:
            for ticket, was_sent in zip(tickets, before, strict=True):
                ticket.is_sent = was_sent
            return error
        except BrokerUnavailable as error:
            return error
        self._appended(stored, [ticket.command for ticket in tickets], len(record))
        return None

    def _try_again(self, tickets: list[Ticket], failure: BrokerUnavailable) -> None:
        next_attempt = asyncio.get_running_loop().time() + PAUSE_SECONDS
        for ticket in reversed(tickets):
            if failure.retryable and next_attempt < ticket.until:
                self._queue.appendleft(ticket)
                self._filled.set()
            else:
                ticket.fail(failure)

    async def close(self) -> None:
        """Stop; what wasn't appended yet fails. Idempotent."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for ticket in self._queue:
            ticket.fail(NotSent("the dispatcher was closed"))
        self._queue.clear()
