"""Errors as problem documents (RFC 9457): each kind has a `type` that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from broker_core import errors

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:fair-dispatcher:problem:"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: the last part of its type, its status, what it is in general."""

    name: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """The `type` of its documents."""
        return TYPE_PREFIX + self.name


INVALID_REQUEST = Kind("invalid-request", 400, "The request can't be understood")
UNAUTHENTICATED = Kind("unauthenticated", 401, "No API key that is in force")
FORBIDDEN = Kind("forbidden", 403, "The key isn't for this")
NOT_FOUND = Kind("not-found", 404, "There is nothing at this address")
UNKNOWN_CUSTOMER = Kind("unknown-customer", 404, "There is no such customer")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "The address doesn't know this method")
TIMED_OUT = Kind("timed-out", 408, "The body came too slowly")
KEY_REUSED = Kind("idempotency-key-reused", 409, "The same Idempotency-Key came with another message")
TOO_LARGE = Kind("too-large", 413, "The body is too large")
UNSUPPORTED_MEDIA_TYPE = Kind(
    "unsupported-media-type", 415, "The body has another type or encoding than is read here"
)
INVALID = Kind("invalid", 422, "A value is outside its range")
UNSUPPORTED = Kind("unsupported", 422, "The broker that is in use doesn't offer this")
BACKLOG_FULL = Kind("backlog-full", 429, "The customer's backlog is at its limit")
RATE_LIMITED = Kind("rate-limited", 429, "The key asks too often")
HEAD_TOO_LARGE = Kind("head-too-large", 431, "Address and headers are too large")
INTERNAL = Kind("internal", 500, "An error of the service")
BROKER_UNAVAILABLE = Kind("broker-unavailable", 503, "The broker can't be reached")
BROKER_FULL = Kind("broker-full", 503, "The broker has no room for new messages")
OUTCOME_UNKNOWN = Kind("outcome-unknown", 503, "The message may have been stored, or not")
OVERLOADED = Kind("overloaded", 503, "The service has too much to do at the moment")
NOT_READY = Kind("not-ready", 503, "The service can't do its work")
SHUTTING_DOWN = Kind("shutting-down", 503, "The service is ending")

KINDS = tuple(kind for kind in list(globals().values()) if isinstance(kind, Kind))


class Problem(Exception):
    """An answer that is an error. detail: what is wrong this time; no secret, no payload.

    retry_after: seconds after which to try again. more: further members of the document.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str = "",
        *,
        retry_after: float | None = None,
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or kind.title)
        self.kind = kind
        self.detail = detail
        self.retry_after = retry_after
        self.more = dict(more or {})
        self.headers = dict(headers or {})

    def document(self, request_id: str | None = None) -> dict[str, Any]:
        """Return the members of the document."""
        members: dict[str, Any] = {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
        }
        if self.detail:
            members["detail"] = self.detail
        if self.retry_after is not None:
            members["retry_after"] = self.retry_after
        if request_id is not None:
            members["request_id"] = request_id
        return {**members, **self.more}

    def body(self, request_id: str) -> bytes:
        """Return the document as it is sent."""
        return msgspec.json.encode(self.document(request_id))


def problem_of(error: errors.DispatcherError) -> Problem:
    """Tell which problem an error of the dispatcher is. Details say nothing of where the broker is."""
    match error:
        case errors.InvalidMessage():
            return Problem(INVALID, error.reason)
        case errors.InvalidArgument():
            return Problem(INVALID, str(error))
        case errors.Unsupported():
            return Problem(UNSUPPORTED, str(error))
        case errors.BacklogFull():
            return Problem(BACKLOG_FULL, retry_after=1)
        case errors.BrokerFull():
            return Problem(BROKER_FULL, retry_after=5)
        case errors.PublishFailed():
            return Problem(
                OUTCOME_UNKNOWN,
                "repeat the request with the same Idempotency-Key: then it is stored once",
                retry_after=1,
            )
        case errors.BrokerUnavailable():
            return Problem(BROKER_UNAVAILABLE, retry_after=1 if error.retryable else 60)
        case errors.Closed():
            return Problem(SHUTTING_DOWN, retry_after=1)
        case _:
            return Problem(INTERNAL)
