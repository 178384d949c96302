"""Carries the request id and the W3C trace context from a request to its messages, and to who handles them.

They travel as headers of the message under the names below; a header that the producer set itself stays.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Mapping

REQUEST_ID = "request-id"
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
MOST_TRACESTATE_BYTES = 512
MOST_REQUEST_ID_CHARACTERS = 128

REQUEST_ID_PATTERN = r"[A-Za-z0-9._~+/=@:-]{1,128}"

_REQUEST_ID = re.compile(REQUEST_ID_PATTERN.encode())
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_PRINTABLE = re.compile(rb"[\x20-\x7e]+")
_prefix = secrets.token_hex(6)
_numbers = itertools.count(1)


def request_id_of(headers: Mapping[bytes, bytes]) -> tuple[str, bool]:
    """Return the id of the request, and whether the client gave it; else it is made here."""
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode(), True
    return next_request_id(), False


def next_request_id() -> str:
    """Make an id that no other request has."""
    return f"{_prefix}-{next(_numbers):x}"


def carried(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return what is stored with a message: what the client gave, and nothing that costs room otherwise."""
    found: dict[str, str] = {}
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        found[REQUEST_ID] = given.decode()
    parent = headers.get(b"traceparent")
    if parent is not None and trace_id(text := parent.decode("latin-1")) is not None:
        found[TRACEPARENT] = text
        state = headers.get(b"tracestate", b"")
        if len(state) <= MOST_TRACESTATE_BYTES and _PRINTABLE.fullmatch(state):
            found[TRACESTATE] = state.decode()
    return found


def logged(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what a log says of a message with these headers: request_id and trace_id, where it has them."""
    found: dict[str, str] = {}
    if (request_id := headers.get(REQUEST_ID)) is not None and len(request_id) <= MOST_REQUEST_ID_CHARACTERS:
        found["request_id"] = request_id
    if (found_id := trace_id(headers.get(TRACEPARENT, ""))) is not None:
        found["trace_id"] = found_id
    return found


def trace_id(traceparent: str) -> str | None:
    """Return the trace's id, None for what isn't valid."""
    match = _TRACEPARENT.fullmatch(traceparent)
    return None if match is None else match[1]
