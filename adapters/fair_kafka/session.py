"""This dispatcher's session in the ledger: numbers its commands, hands their outcomes to those who wait."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import TypeVar

from broker_core.errors import BrokerUnavailable
from fair_kafka.errors import AnswerLost, NotSent
from fair_kafka.ledger.commands import Close, Command, Open, Tick
from fair_kafka.ledger.outcomes import Answer, Done, Duplicate, Opened, Outcome, UnknownSession
from fair_kafka.log import Log, Ticket

T = TypeVar("T")
Build = Callable[[int, int], Command]

REOPENINGS = 3
ATTEMPTS_TO_PASS_TIME = 3
CLOSE_SECONDS = 0.3
UNKNOWN_SESSION = UnknownSession()


def expect(outcome: Outcome, kind: type[T]) -> T:
    """Return the outcome, which is of this kind: the ledger answers each command with its own."""
    if not isinstance(outcome, kind):
        raise TypeError(f"the ledger answered {outcome!r} where {kind.__name__} belongs")
    return outcome


class Session:
    """Runs commands: each takes effect at most once, whatever happens to connections.

    open_command: makes the Open of a session number. trouble: tells why the ledger can't be read now.
    began: gets to know each new number before anything of it is sent.
    """

    def __init__(
        self,
        log: Log,
        open_command: Callable[[int, int], Open],
        trouble: Callable[[], BrokerUnavailable | None],
        began: Callable[[int], None],
        timeout_seconds: float,
    ) -> None:
        self._log = log
        self._open_command = open_command
        self._trouble = trouble
        self._began = began
        self._timeout_seconds = timeout_seconds
        self._pending: dict[int, Ticket] = {}
        self._opening = asyncio.Lock()
        self._sequence = 0
        self.number = 0
        self.last_said = 0.0

    def answered(self, answer: Answer) -> None:
        """Hand the outcome to who waits for it."""
        if answer.session != self.number:
            return
        ticket = self._pending.get(answer.sequence)
        if ticket is None or ticket.outcome.done():
            return
        if not isinstance(answer.outcome, Duplicate):
            ticket.outcome.set_result(answer.outcome)

    def missed_answers(self) -> None:
        """Give up on what was sent: its outcome may be among what was skipped by loading a snapshot."""
        for ticket in list(self._pending.values()):
            if ticket.is_sent:
                ticket.fail(AnswerLost("the outcome was skipped, since this dispatcher was away for long"))

    async def pass_time(self) -> None:
        """Let time pass up to now, so that the state is exact; tried again where a command must not be."""
        for attempt in range(ATTEMPTS_TO_PASS_TIME):
            try:
                await self.run(Tick, Done)
            except AnswerLost:
                if attempt + 1 == ATTEMPTS_TO_PASS_TIME or self._trouble() is not None:
                    raise
            else:
                return

    async def open(self) -> Opened:
        """Begin a session; used again when the ledger has forgotten it."""
        before, self._pending = self._pending, {}
        self.number = secrets.randbits(64)
        self._sequence = 0
        for ticket in before.values():
            # What wasn't applied yet has no effect any more, and may be tried in this session.
            if not ticket.outcome.done():
                ticket.outcome.set_result(UNKNOWN_SESSION)
        self._began(self.number)
        return expect(await self._run_once(self._open_command), Opened)

    async def reopen(self, number: int) -> None:
        """Begin another session in place of this one, once for all who ask for it."""
        async with self._opening:
            if self.number == number:
                await self.open()

    async def close(self) -> None:
        """Say good-bye, if that is possible at once; otherwise the ledger forgets this session by itself."""
        if not self.number or self._trouble() is not None:
            return
        with contextlib.suppress(BrokerUnavailable, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._run_once(Close)

    async def run(self, build: Build, kind: type[T]) -> T:
        """Have a command applied and return its outcome, which is of this kind.

        Raises NotSent when it surely has no effect, AnswerLost when it may have one.
        """
        for _ in range(REOPENINGS):
            number = self.number
            outcome = await self._run_once(build)
            if not isinstance(outcome, UnknownSession):
                return expect(outcome, kind)
            await self.reopen(number)
        raise AnswerLost("the ledger forgets this dispatcher again and again")

    async def _run_once(self, build: Build) -> Outcome:
        return await self.outcome(self.submit(build, self._timeout_seconds))

    def submit(self, build: Build, patience_seconds: float) -> Ticket:
        """Send a command off; its outcome has to be asked for by `outcome`."""
        self._sequence += 1
        self.last_said = asyncio.get_running_loop().time()
        ticket = self._log.append(build(self.number, self._sequence), patience_seconds)
        self._pending[self._sequence] = ticket
        return ticket

    def submit_and_forget(self, build: Build) -> None:
        """Send a command off that nobody waits for."""
        self._sequence += 1
        self._log.append(build(self.number, self._sequence), 0.0)

    async def outcome(self, ticket: Ticket, wait_seconds: float = 0.0) -> Outcome:
        """Wait for the outcome of a command that was sent off, and that may take so long by itself."""
        pending = self._pending
        try:
            # Once for appending it, where the ticket gives up by itself, and once for reading it back.
            async with asyncio.timeout(wait_seconds + 2 * self._timeout_seconds):
                return await ticket.outcome
        except TimeoutError as error:
            trouble = self._trouble()
            if trouble is not None and not trouble.retryable:
                raise AnswerLost(str(trouble), retryable=False) from trouble
            kind = AnswerLost if ticket.is_sent else NotSent
            raise kind("Kafka doesn't answer in time") from (trouble or error)
        finally:
            self._log.forget(ticket)
            pending.pop(ticket.command.sequence, None)
