"""The table of all operations: what is served, whom it is for, and what is told of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec

from fair_dispatcher.http import batches, consuming, inspecting, problems, publishing, steering, telling
from fair_dispatcher.http.answers import Answer
from fair_dispatcher.http.problems import Kind
from fair_dispatcher.http.service import Call
from fair_dispatcher.http.wire import (
    AckBody,
    Counted,
    CustomerBody,
    Customers,
    DeadLetterBody,
    DeadLetters,
    Deliveries,
    ExtendBody,
    Extended,
    Health,
    IdsBody,
    MessageBody,
    MessageLine,
    NackBody,
    PolicyBody,
    Published,
    PublishedLine,
    PurgeBody,
    ReceiveBody,
    Settled,
)
from fair_dispatcher.keys.model import Scope

CUSTOMER = "{customer}"

Endpoint = Callable[[Call], Awaitable[Answer]]


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

    body: what is read as JSON, also_bytes: any other type is read as it is. answer: what comes with `status`.
    lines: body and answer are NDJSON. query, headers: the names of parameters. problems: beside those that
    all have.
    """

    method: str
    path: str
    name: str
    summary: str
    endpoint: Endpoint
    scope: Scope | None
    binding: Binding
    body: type[msgspec.Struct] | None = None
    body_required: bool = True
    also_bytes: bool = False
    lines: bool = False
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    html: bool = False
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


def _settling(name: str, summary: str, endpoint: Endpoint, body: type[msgspec.Struct]) -> Operation:
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


def _looking(
    path: str, name: str, summary: str, endpoint: Endpoint, answer: type[msgspec.Struct]
) -> Operation:
    listing = answer is not CustomerBody
    return Operation(
        method="GET",
        path=path,
        name=name,
        summary=summary,
        endpoint=endpoint,
        scope=Scope.ADMIN,
        binding=Binding.PATH if CUSTOMER in path else Binding.LISTING,
        query=("limit", "cursor") if listing else (),
        answer=answer,
        problems=(problems.INVALID_REQUEST, problems.INVALID, *_BROKER)
        if listing
        else (problems.INVALID, *_BROKER),
    )


def _steering(
    verb: str,
    summary: str,
    endpoint: Endpoint,
    answer: type[msgspec.Struct],
    body: type[msgspec.Struct] | None = None,
) -> Operation:
    return Operation(
        method="POST",
        path=f"/v1/customers/{{customer}}/{verb}",
        name=verb,
        summary=summary,
        endpoint=endpoint,
        scope=Scope.ADMIN,
        binding=Binding.PATH,
        body=body,
        body_required=False,
        answer=answer,
        problems=(problems.INVALID, *_BROKER) if body is None else (*_WRITES, *_BROKER),
    )


def _telling(path: str, name: str, summary: str, endpoint: Endpoint, **more: Any) -> Operation:
    return Operation(
        method="GET",
        path=path,
        name=name,
        summary=summary,
        endpoint=endpoint,
        scope=None,
        binding=Binding.OPEN,
        **more,
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
        body_required=False,
        also_bytes=True,
        query=("cost",),
        headers=("idempotency-key", "traceparent"),
        answer=Published,
        status=202,
        problems=(
            problems.INVALID_REQUEST,
            problems.TIMED_OUT,
            problems.KEY_REUSED,
            problems.TOO_LARGE,
            problems.UNSUPPORTED_MEDIA_TYPE,
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
    Operation(
        method="POST",
        path="/v1/messages",
        name="publish_batch",
        summary="Publish many messages, a line each",
        endpoint=batches.publish_batch,
        scope=Scope.PUBLISH,
        binding=Binding.LINES,
        body=MessageLine,
        lines=True,
        headers=("traceparent",),
        answer=PublishedLine,
        problems=(
            problems.TIMED_OUT,
            problems.TOO_LARGE,
            problems.UNSUPPORTED_MEDIA_TYPE,
            problems.OVERLOADED,
        ),
    ),
    _looking("/v1/customers", "list_customers", "List customers", inspecting.customers, Customers),
    _looking(
        "/v1/customers/{customer}",
        "get_customer",
        "Count a customer's messages",
        inspecting.customer,
        CustomerBody,
    ),
    _looking(
        "/v1/customers/{customer}/dead-letters",
        "list_dead_letters_of_customer",
        "List a customer's dead letters",
        inspecting.customer_dead_letters,
        DeadLetters,
    ),
    _looking(
        "/v1/dead-letters", "list_dead_letters", "List dead letters", inspecting.dead_letters, DeadLetters
    ),
    Operation(
        method="PUT",
        path="/v1/customers/{customer}/policy",
        name="put_policy",
        summary="Replace a customer's policy",
        endpoint=steering.put_policy,
        scope=Scope.ADMIN,
        binding=Binding.PATH,
        body=PolicyBody,
        answer=PolicyBody,
        problems=(problems.UNSUPPORTED, *_WRITES, *_BROKER),
    ),
    Operation(
        method="DELETE",
        path="/v1/customers/{customer}/policy",
        name="delete_policy",
        summary="Remove a customer's policy",
        endpoint=steering.delete_policy,
        scope=Scope.ADMIN,
        binding=Binding.PATH,
        status=204,
        problems=(problems.INVALID, *_BROKER),
    ),
    _steering("pause", "Keep a customer's messages waiting", steering.pause, PolicyBody),
    _steering("resume", "Hand a customer's messages over again", steering.resume, PolicyBody),
    _steering("redrive", "Make dead letters ready again", steering.redrive, Counted, IdsBody),
    _steering("purge", "Remove messages or dead letters for good", steering.purge, Counted, PurgeBody),
    _telling("/health/live", "live", "Whether the process answers", telling.live, answer=Health),
    _telling(
        "/health/ready",
        "ready",
        "Whether messages can be published and received",
        telling.ready,
        answer=Health,
        problems=(problems.NOT_READY,),
    ),
    _telling("/v1/openapi.json", "openapi", "This description", telling.openapi),
    _telling("/docs", "docs", "A page for people", telling.docs, html=True),
)
