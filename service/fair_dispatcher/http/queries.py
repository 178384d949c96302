"""Reads what stands after the question mark."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TypeVar
from urllib.parse import parse_qs

from broker_core.errors import InvalidArgument
from fair_dispatcher.http import problems
from fair_dispatcher.http.problems import Problem
from fair_dispatcher.http.service import Call

T = TypeVar("T")

MOST_ENTRIES = 1000
MOST_CURSOR_CHARACTERS = 2000


def whole_number(call: Call, name: str, default: int, most: int) -> int:
    """Return a number from 1 to `most`, the default if it isn't given. Raises Problem."""
    given = _given(call, name)
    if given is None:
        return default
    number = int(given) if given.isascii() and given.isdigit() and len(given) <= 9 else 0
    if not 1 <= number <= most:
        raise Problem(problems.INVALID, f"{name} has to be a whole number from 1 to {most}")
    return number


def refuse(call: Call, names: Iterable[str], reason: str) -> None:
    """Raise Problem, with the reason, if one of these is given."""
    for name in names:
        if _given(call, name) is not None:
            raise Problem(problems.INVALID, f"{name} {reason}")


def cursor(call: Call) -> str | None:
    """Return the cursor of a listing, None at its begin. Raises Problem."""
    given = _given(call, "cursor")
    if given is not None and not 1 <= len(given) <= MOST_CURSOR_CHARACTERS:
        raise wrong_cursor()
    return given


def wrong_cursor() -> Problem:
    """Return what a cursor of somewhere else is answered with."""
    return Problem(problems.INVALID, "cursor has to be one that the listing gave")


async def listed(listing: Awaitable[T]) -> T:
    """Return a part of a listing whose limit and customer were checked. Raises Problem for a wrong cursor."""
    try:
        return await listing
    except InvalidArgument:
        raise wrong_cursor() from None


def _given(call: Call, name: str) -> str | None:
    query = call.scope["query_string"]
    if not query:
        return None
    try:
        values = parse_qs(query.decode("ascii"), keep_blank_values=True, errors="strict").get(name)
    except (UnicodeDecodeError, ValueError):
        raise Problem(problems.INVALID_REQUEST, "the query isn't UTF-8") from None
    return None if values is None else values[-1]
