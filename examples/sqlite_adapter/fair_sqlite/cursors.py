"""Cursors that continue a listing: `<listing>:<the last entry of the page before>`."""

from __future__ import annotations

from broker_core.errors import InvalidArgument


def make_cursor(listing: str, last: str) -> str:
    """Return the cursor behind this entry."""
    return f"{listing}:{last}"


def read_cursor(listing: str, cursor: str | None) -> str:
    """Return the last entry of the page before, "" at the beginning; InvalidArgument for any other text."""
    if cursor is None:
        return ""
    if not isinstance(cursor, str) or not cursor.startswith(f"{listing}:") or cursor == f"{listing}:":
        raise InvalidArgument(
            "not a cursor of this listing: pass the one of the page before, or None to begin"
        )
    return cursor.removeprefix(f"{listing}:")
