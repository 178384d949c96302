"""Lets Schemathesis send the types of body that it doesn't know."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes | None:
    """Send a text as it is."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else None
