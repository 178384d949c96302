"""Walks through listings that come in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from broker_core import Page
from fair_dispatcher.runtime import say

T = TypeVar("T")

MOST_PER_PAGE = 1000


async def pages(
    fetch: Callable[[int, str | None], Awaitable[Page[T]]], limit: int | None
) -> AsyncIterator[Page[T]]:
    """Yield page by page until `limit` entries came (None: all); say so if there are more.

    fetch takes the most entries wanted and a cursor.
    """
    cursor: str | None = None
    left = limit
    while True:
        page = await fetch(MOST_PER_PAGE if left is None else min(left, MOST_PER_PAGE), cursor)
        yield page
        cursor = page.cursor
        if cursor is None:
            return
        if left is not None:
            left -= len(page)
            if left <= 0:
                say(f"these are {limit:,}, but there are more: --all lists them")
                return
