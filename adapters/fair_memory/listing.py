"""Pages of listings, and the cursors that continue them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from broker_core.errors import InvalidArgument
from broker_core.model import Backlog, CustomerBacklog, DeadLetter, Page
from fair_memory.states import Customer, Entry, copy_of
from fair_memory.times import utc

_NO_CURSOR = "not a cursor of this listing: pass the one of the page before, or None to begin"


def page_of_customers(
    customers: Mapping[str, Customer], others: Iterable[str], limit: int, cursor: str | None
) -> Page[CustomerBacklog]:
    """List the customers after the cursor, and others that have no message, by name."""
    after = _text_after("customer:", cursor)
    names = {name for name in (*customers, *others) if name > after}
    found = heapq.nsmallest(limit + 1, names)
    items = [
        CustomerBacklog(name, customers[name].backlog() if name in customers else Backlog())
        for name in found[:limit]
    ]
    return Page(items, f"customer:{items[-1].customer}" if len(found) > limit else None)


def page_of_dead_letters(dead: Iterable[Entry], limit: int, cursor: str | None) -> Page[DeadLetter]:
    """List dead entries after the cursor, in the order given, which is that of their deaths."""
    text = _text_after("death:", cursor)
    if text and not (text.isascii() and text.isdigit()):
        raise InvalidArgument(_NO_CURSOR)
    after = int(text or -1)
    found: list[Entry] = []
    for entry in dead:
        if entry.death > after:
            found.append(entry)
            if len(found) > limit:
                break
    items = found[:limit]
    return Page(
        [_dead_letter(entry) for entry in items], f"death:{items[-1].death}" if len(found) > limit else None
    )


def _text_after(prefix: str, cursor: str | None) -> str:
    if cursor is None:
        return ""
    if not isinstance(cursor, str) or not cursor.startswith(prefix) or cursor == prefix:
        raise InvalidArgument(_NO_CURSOR)
    return cursor.removeprefix(prefix)


def _dead_letter(entry: Entry) -> DeadLetter:
    return DeadLetter(
        id=entry.id,
        message=copy_of(entry.message),
        attempts=entry.attempts,
        reason=entry.reason,
        published_at=entry.published_at,
        died_at=utc(entry.died_at),
    )
