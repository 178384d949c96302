"""The table of all operations: what is served, whom it is for, and what is told of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum

import msgspec

from fair_dispatcher.http import consuming, problems, publishing
from fair_dispatcher.http.answers import Answer
from fair_dispatcher.http.problems import Kind
from fair_dispatcher.http.service import Call
from fair_dispatcher.http.wire import (
    AckBody,
    DeadLetterBody,
    Deliveries,
    ExtendBody,
    Extended,
    MessageBody,
    NackBody,
    Published,
    ReceiveBody,
    Settled,
)
from fair_dispatcher.keys.model import Scope

CUSTOMER = "{customer}"


class Binding(Enum):
    """How a key that is bound to customers is kept from those of others."""

    PATH = "the customer in the path has to be one of its own"
    LINES = "each line's customer has to be one of its own"
    LISTING = "the listing has only its own"
    NO_SUCH_KEY = "no bound key has the scope"
    OPEN = "nothing of any customer is told or changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one address. scope: that a key needs; None: open to all.

    body: what is read as JSON. answer: what comes with `status`. problems: beside those that all have.
    """

    method: str
    path: str
    name: str
    summary: str
    endpoint: Callable[[Call], Awaitable[Answer]]
    scope: Scope | None
    binding: Binding
    body: type[msgspec.Struct] | None = None
    body_required: bool = True
    also_bytes: bool = False
    answer: type[msgspec.Struct] | None = None
    status: int = 200
    problems: tuple[Kind, ...] = field(default=())


_WRITES = (
    problems.INVALID_REQUEST,
    problems.TIMED_OUT,
    problems.TOO_LARGE,
    problems.UNSUPPORTED_MEDIA_TYPE,
    problems.INVALID,
)
_BROKER = (problems.BROKER_UNAVAILABLE, problems.OVERLOADED, problems.SHUTTING_DOWN)


def _settling(
    name: str, summary: str, endpoint: Callable[[Call], Awaitable[Answer]], body: type[msgspec.Struct]
) -> Operation:
    return Operation(
        method="POST",
        path=f"/v1/deliveries/{name}",
        name=name.replace("-", "_"),
        summary=summary,
        endpoint=endpoint,
        scope=Scope.CONSUME,
        binding=Binding.NO_SUCH_KEY,
        body=body,
        answer=Extended if body is ExtendBody else Settled,
        problems=(*_WRITES, *_BROKER),
    )


OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/customers/{customer}/messages",
        name="publish",
        summary="Publish a message",
        endpoint=publishing.publish,
        scope=Scope.PUBLISH,
        binding=Binding.PATH,
        body=MessageBody,
        also_bytes=True,
        answer=Published,
        status=202,
        problems=(
            problems.INVALID_REQUEST,
            problems.TIMED_OUT,
            problems.KEY_REUSED,
            problems.TOO_LARGE,
            problems.INVALID,
            problems.BACKLOG_FULL,
            problems.BROKER_FULL,
            problems.OUTCOME_UNKNOWN,
            *_BROKER,
        ),
    ),
    Operation(
        method="POST",
        path="/v1/deliveries",
        name="receive",
        summary="Receive messages, waiting for the first",
        endpoint=consuming.receive,
        scope=Scope.CONSUME,
        binding=Binding.NO_SUCH_KEY,
        body=ReceiveBody,
        body_required=False,
        answer=Deliveries,
        problems=(*_WRITES, *_BROKER),
    ),
    _settling("ack", "Processed: the messages leave the broker", consuming.ack, AckBody),
    _settling("nack", "Deliver again, with one attempt more", consuming.nack, NackBody),
    _settling("release", "Give back untouched, no attempt counted", consuming.release, AckBody),
    _settling("dead-letter", "Never deliver again", consuming.dead_letter, DeadLetterBody),
    _settling("extend", "Renew leases", consuming.extend, ExtendBody),
)
