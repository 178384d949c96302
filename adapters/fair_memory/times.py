"""Times of the broker's clock as the interface shows them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(seconds: float) -> datetime:
    """Return seconds since 1970 as an aware datetime, exact to a microsecond."""
    return datetime.fromtimestamp(seconds, UTC)
