"""Publishes single messages, and batches of them."""

from __future__ import annotations

import msgspec

from broker_core import Message, checks
from broker_core.errors import DispatcherError, InvalidMessage, PublishFailed
from fair_dispatcher.http import problems, queries, trace
from fair_dispatcher.http.answers import Answer, json_answer
from fair_dispatcher.http.batcher import TooManyWaiting
from fair_dispatcher.http.idempotency import Claim
from fair_dispatcher.http.problems import Problem, problem_of
from fair_dispatcher.http.service import Call, decode
from fair_dispatcher.http.wire import MessageBody, Published, Unreadable, payload_of

_decoder = msgspec.json.Decoder(MessageBody)


async def publish(call: Call) -> Answer:
    """Store one message; the answer comes when it is as durable as the broker makes it.

    A body of any other type than `application/json` is the payload itself, byte by byte. So curl's `-d` needs
    `-H 'Content-Type: application/json'`: without it the JSON text is stored as the payload.
    """
    service, settings = call.service, call.service.settings
    cost = queries.whole_number(call, "cost", 1, service.dispatcher.settings.max_cost)
    data = await call.body.read(settings.max_body_bytes, settings.body_seconds)
    if call.media_type == b"application/json":
        queries.refuse(call, MessageBody.__struct_fields__, "belongs into the JSON body")
        body = decode(_decoder, data)
        try:
            payload = payload_of(body)
        except Unreadable as error:
            raise Problem(problems.INVALID, str(error)) from None
        own_headers, cost = body.headers, body.cost
    else:
        payload, own_headers = data, {}
    carried = trace.carried(call.headers)
    headers = {**carried, **own_headers} if carried else own_headers
    message = Message(call.customer, payload, headers, _idempotency_key(call), cost)
    _check(call, message)
    claim = service.idempotency.claim(message, own_headers)
    if claim is not None and claim.id is not None:
        return json_answer(Published(claim.id), 202)
    outcome = await service.batcher.publish(message)
    if not isinstance(outcome, str):
        raise refused(call, claim, outcome)
    service.idempotency.stored(claim, outcome)
    call.logged["message_id"] = outcome
    return json_answer(Published(outcome), 202)


def refused(call: Call, claim: Claim | None, error: DispatcherError) -> Problem:
    """Return the problem; a message that certainly wasn't stored leaves its key to another."""
    call.service.idempotency.failed(claim, may_be_stored=isinstance(error, PublishFailed))
    if isinstance(error, TooManyWaiting):
        return Problem(problems.OVERLOADED, str(error), retry_after=1)
    return problem_of(error)


def _check(call: Call, message: Message) -> None:
    dispatcher = call.service.dispatcher
    try:
        checks.check_messages([message], dispatcher.settings, dispatcher.capabilities)
    except InvalidMessage as error:
        kind = (
            problems.TOO_LARGE
            if len(message.payload) > dispatcher.settings.max_payload_bytes
            else problems.INVALID
        )
        raise Problem(kind, error.reason) from None


def _idempotency_key(call: Call) -> str | None:
    given = call.headers.get(b"idempotency-key")
    if given is None:
        return None
    try:
        key = given.decode()
    except UnicodeDecodeError:
        raise Problem(problems.INVALID, "Idempotency-Key has to be UTF-8") from None
    if not 1 <= len(key) <= checks.MAX_MESSAGE_ID_CHARACTERS:
        raise Problem(
            problems.INVALID, f"Idempotency-Key has to have 1–{checks.MAX_MESSAGE_ID_CHARACTERS} characters"
        )
    return key
