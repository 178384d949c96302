"""Publishes many messages of one request: a line in, a line out."""

from __future__ import annotations

import msgspec

from broker_core import Message, checks
from broker_core.errors import BrokerUnavailable, DispatcherError, InvalidMessage, PublishFailed
from fair_dispatcher.http import problems, trace
from fair_dispatcher.http.answers import Answer
from fair_dispatcher.http.batcher import publish_each
from fair_dispatcher.http.idempotency import Claim
from fair_dispatcher.http.lines import TOO_LONG, Numbered, line_groups
from fair_dispatcher.http.problems import Problem
from fair_dispatcher.http.publishing import refused
from fair_dispatcher.http.service import Call, decode
from fair_dispatcher.http.wire import MessageLine, PublishedLine, Unreadable, encode_lines, payload_of

MOST_PER_CALL = 500
MEDIA_TYPE = b"application/x-ndjson"
_TAKEN = {MEDIA_TYPE, b"application/ndjson", b"application/jsonl", b"application/x-jsonlines"}
_decoder = msgspec.json.Decoder(MessageLine)


async def publish_batch(call: Call) -> Answer:
    """Store the messages of all lines as they come; the answer tells of each, in order, at the end.

    Blank lines get no answer, so each answer has the number of its `line`. What is wrong with one line
    doesn't touch the others. Memory is bounded: a few parts of the body, and the answer, which has at most
    max_batch_messages lines and one that says so.
    """
    if call.media_type not in _TAKEN:
        raise Problem(problems.UNSUPPORTED_MEDIA_TYPE, "application/x-ndjson is read here")
    settings = call.service.settings
    batch = _Batch(call)
    parts = call.body.parts(settings.max_batch_bytes, settings.body_seconds, settings.batch_seconds)
    headers: dict[str, str] = {}
    try:
        async for lines in line_groups(call.body, parts, settings.max_body_bytes, MOST_PER_CALL):
            await batch.publish(lines)
    except Problem as problem:
        if not batch.count:
            raise
        # Lines before this one are stored, and that has to be told.
        batch.end(problem)
        headers["connection"] = "close"
    call.logged["messages"] = batch.count
    return Answer(200, bytes(batch.answer), MEDIA_TYPE, headers)


class _Batch:
    """The answer as it grows. count: the lines that it tells of."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._carried = trace.carried(call.headers)
        self._given_up: Problem | None = None
        self._full = False
        self._last = 0  # the number of the last line that was read
        self.answer = bytearray()
        self.count = 0

    async def publish(self, lines: list[Numbered]) -> None:
        """Publish these lines, as far as there may be so many."""
        most = self._call.service.settings.max_batch_messages
        taken = lines[: most - self.count]
        if taken:
            outcomes = await self._outcomes([line for _, line in taken])
            told = [_told(number, outcome) for (number, _), outcome in zip(taken, outcomes, strict=True)]
            self.answer += encode_lines(told)
            self.count += len(taken)
            self._last = taken[-1][0]
        if len(taken) < len(lines) and not self._full:
            self._full = True
            self.end(
                Problem(problems.TOO_LARGE, f"at most {most} lines are read; this and later ones were not")
            )

    def end(self, problem: Problem) -> None:
        """Tell, in one more line, why there is none for what follows."""
        self.answer += encode_lines([_told(self._last + 1, problem)])

    async def _outcomes(self, lines: list[bytes]) -> list[str | Problem]:
        """Return the id of each line's message, or what is wrong with it."""
        outcomes: list[str | Problem | None] = [None] * len(lines)
        if self._given_up is None:
            try:
                self._call.service.rates.use(self._call.key, len(lines))
            except Problem as problem:
                return [problem] * len(lines)
        messages: list[Message] = []
        claimed: list[tuple[int, Claim | None]] = []
        for place, line in enumerate(self._decoded(lines)):
            try:
                message, claim = self._message(line)
            except Problem as problem:
                outcomes[place] = problem
                continue
            if claim is not None and claim.id is not None:
                outcomes[place] = claim.id
                continue
            messages.append(message)
            claimed.append((place, claim))
        for (place, claim), outcome in zip(claimed, await self._publish(messages), strict=True):
            if isinstance(outcome, str):
                self._call.service.idempotency.stored(claim, outcome)
                outcomes[place] = outcome
            else:
                outcomes[place] = refused(self._call, claim, outcome)
        return [outcome for outcome in outcomes if outcome is not None]

    def _decoded(self, lines: list[bytes]) -> list[MessageLine | Problem]:
        try:
            return list(_decoder.decode_lines(b"\n".join(lines)))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [self._decode(line) for line in lines]

    def _decode(self, line: bytes) -> MessageLine | Problem:
        if line == TOO_LONG:
            return Problem(
                problems.TOO_LARGE, f"at most {self._call.service.settings.max_body_bytes} bytes a line"
            )
        try:
            return decode(_decoder, line)
        except Problem as problem:
            return problem

    def _message(self, line: MessageLine | Problem) -> tuple[Message, Claim | None]:
        if isinstance(line, Problem):
            raise line
        if self._given_up is not None:
            raise self._given_up
        call = self._call
        if not call.may_touch(line.customer):
            raise Problem(problems.UNKNOWN_CUSTOMER)
        try:
            payload = payload_of(line)
        except Unreadable as error:
            raise Problem(problems.INVALID, str(error)) from None
        headers = {**self._carried, **line.headers} if self._carried else line.headers
        message = Message(line.customer, payload, headers, line.idempotency_key, line.cost)
        return message, call.service.idempotency.claim(message, line.headers)

    async def _publish(self, messages: list[Message]) -> list[str | DispatcherError]:
        if not messages:
            return []
        dispatcher = self._call.service.dispatcher
        wrong: dict[int, DispatcherError] = {}
        outcomes = await publish_each(dispatcher, messages)
        if isinstance(outcomes[0], InvalidMessage):
            for place, message in enumerate(messages):
                try:
                    checks.check_messages([message], dispatcher.settings, dispatcher.capabilities)
                except InvalidMessage as error:
                    wrong[place] = error
            right = iter(
                await publish_each(dispatcher, [m for i, m in enumerate(messages) if i not in wrong])
            )
            outcomes = [wrong.get(place) or next(right) for place in range(len(messages))]
        if all(isinstance(outcome, (BrokerUnavailable, PublishFailed)) for outcome in outcomes):
            # Each further call would take its whole time-out, and later messages must not overtake these.
            self._given_up = Problem(
                problems.BROKER_UNAVAILABLE, "not tried, as lines before it failed", retry_after=1
            )
        return outcomes


def _told(number: int, outcome: str | Problem) -> PublishedLine:
    if isinstance(outcome, Problem):
        return PublishedLine(number, problem=outcome.document())
    return PublishedLine(number, outcome)
