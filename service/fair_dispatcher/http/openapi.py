"""The OpenAPI document, made from the table of operations and the bodies' types."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec

from fair_dispatcher.http import problems, queries
from fair_dispatcher.http.operations import OPERATIONS, Operation
from fair_dispatcher.http.problems import MEDIA_TYPE, Kind
from fair_dispatcher.http.trace import REQUEST_ID_PATTERN

Document = dict[str, Any]

# Before an operation is known to be meant, or whatever it is.
_ALWAYS = (problems.INVALID_REQUEST, problems.HEAD_TOO_LARGE, problems.INTERNAL, problems.OVERLOADED)
_WITH_KEY = (problems.UNAUTHENTICATED, problems.FORBIDDEN, problems.RATE_LIMITED)

_PARAMETERS: dict[str, Document] = {
    "customer": {
        "name": "customer",
        "in": "path",
        "required": True,
        "description": "The customer's name, percent-encoded: 1–200 characters without control characters.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "pattern": r"^[^\x00-\x1f\x7f-\x9f]+$",
        },
        "example": "acme",
    },
    "cost": {
        "name": "cost",
        "in": "query",
        "description": "The message's cost, where the body is its payload.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1},
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "description": "Most entries to list.",
        "schema": {"type": "integer", "minimum": 1, "maximum": queries.MOST_ENTRIES},
    },
    "cursor": {
        "name": "cursor",
        "in": "query",
        "description": "Continues a listing: the cursor that its last part came with.",
        "schema": {"type": "string", "minLength": 1, "maxLength": queries.MOST_CURSOR_CHARACTERS},
    },
    "idempotency-key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key of a customer stores one message within the dedup window, however often "
        "it comes.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    },
    "traceparent": {
        "name": "traceparent",
        "in": "header",
        "description": "W3C trace context; it and tracestate travel with the message. Ignored if not valid.",
        "schema": {"type": "string"},
    },
    "x-request-id": {
        "name": "X-Request-Id",
        "in": "header",
        "description": "Travels with the message and comes back in the answer, if it is of the form "
        f"{REQUEST_ID_PATTERN}; else one is made here.",
        "schema": {"type": "string"},
    },
}

_PROBLEM: Document = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "request_id"],
    "properties": {
        "type": {"type": "string", "enum": [kind.type for kind in problems.KINDS]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "retry_after": {"type": "number", "description": "Seconds after which to try again."},
        "index": {"type": "integer", "description": "Which of the receipts it is about, from 0."},
        "publish": {"type": "string", "description": "Of not-ready: as in Health."},
        "receive": {"type": "string", "description": "Of not-ready: as in Health."},
    },
}


def document() -> Document:
    """Return the OpenAPI 3.1 document."""
    types = {operation.body for operation in OPERATIONS} | {operation.answer for operation in OPERATIONS}
    structs = sorted((one for one in types if one is not None), key=lambda one: one.__name__)
    _, components = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    for message in ("MessageBody", "MessageLine"):
        components[message]["oneOf"] = [{"required": ["payload"]}, {"required": ["payload_base64"]}]
    paths: Document = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fair dispatcher",
            "version": version("fair-dispatcher"),
            "description": "Divides the messages of many customers fairly among consumers.",
        },
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
        },
    }


def document_bytes() -> bytes:
    """Return it as JSON."""
    return msgspec.json.encode(document())


def kinds_of(operation: Operation) -> list[Kind]:
    """Return every problem that the operation may answer with, by status."""
    kinds = {*_ALWAYS, *operation.problems}
    if operation.scope is not None:
        kinds |= {*_WITH_KEY}
    if "{customer}" in operation.path:
        kinds |= {problems.UNKNOWN_CUSTOMER, problems.INVALID}
    return sorted(kinds, key=lambda kind: (kind.status, kind.name))


def _operation(operation: Operation) -> Document:
    names = [*(["customer"] if "{customer}" in operation.path else []), *operation.query, *operation.headers]
    found: Document = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": _description(operation),
        "parameters": [_PARAMETERS[name] for name in (*names, "x-request-id")],
        "responses": dict(_responses(operation)),
        "security": [] if operation.scope is None else [{"key": []}],
    }
    if operation.body is not None:
        content = _content(operation, operation.body)
        found["requestBody"] = {"required": operation.body_required, "content": content}
    return found


def _description(operation: Operation) -> str:
    text = " ".join((operation.endpoint.__doc__ or "").split())
    if operation.scope is None:
        return text
    needs = (
        f"Needs a key with the scope `{operation.scope.value}`; for a bound key: {operation.binding.value}."
    )
    return f"{text}\n\n{needs}"


def _content(operation: Operation, body: type[msgspec.Struct]) -> Document:
    if operation.lines:
        described = f"One {body.__name__} a line."
        return {"application/x-ndjson": {"schema": {"type": "string", "description": described}}}
    content: Document = {"application/json": {"schema": _reference(body)}}
    if operation.also_bytes:
        content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    return content


def _responses(operation: Operation) -> Iterator[tuple[str, Document]]:
    yield str(operation.status), _success(operation)
    by_status: dict[int, list[Kind]] = {}
    for kind in kinds_of(operation):
        by_status.setdefault(kind.status, []).append(kind)
    for status, kinds in by_status.items():
        types = {"properties": {"type": {"enum": [kind.type for kind in kinds]}}}
        schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, types]}
        yield (
            str(status),
            {
                "description": "; ".join(kind.title for kind in kinds),
                "content": {MEDIA_TYPE: {"schema": schema}},
            },
        )


def _success(operation: Operation) -> Document:
    found: Document = {"description": HTTPStatus(operation.status).phrase}
    if operation.html:
        found["content"] = {"text/html": {"schema": {"type": "string"}}}
    elif operation.lines and operation.answer is not None:
        described = (
            f"One {operation.answer.__name__} a line, in the order of the request's lines but for blank ones."
        )
        found["content"] = {"application/x-ndjson": {"schema": {"type": "string", "description": described}}}
    elif operation.answer is not None:
        found["content"] = {"application/json": {"schema": _reference(operation.answer)}}
    elif operation.status == 200:
        found["content"] = {"application/json": {"schema": {"type": "object"}}}
    return found


def _reference(struct: type[msgspec.Struct]) -> Document:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}
