"""Lets Schemathesis send the types of body that it doesn't know, and whole numbers as such."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes | None:
    """Send a text as it is."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else None


@schemathesis.hook
def map_body(_: Any, body: Any) -> Any:
    """Write 1.0 as 1: a schema can't tell them apart, but the service takes no fractions as integers."""
    if isinstance(body, float) and body.is_integer():
        return int(body)
    if isinstance(body, list):
        return [map_body(_, one) for one in body]
    if isinstance(body, dict):
        return {name: map_body(_, one) for name, one in body.items()}
    return body
