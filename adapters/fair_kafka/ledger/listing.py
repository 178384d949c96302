"""Pages of listings, and the cursors that continue them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from broker_core.errors import InvalidArgument
from broker_core.model import Backlog, CustomerBacklog, Page
from fair_kafka.ledger.commands import Ref
from fair_kafka.ledger.customers import Customer
from fair_kafka.ledger.entries import Entry
from fair_kafka.ledger.receipts import id_of

_NO_CURSOR = "not a cursor of this listing: pass the one of the page before, or None to begin"


class DeadEntry(NamedTuple):
    """One dead letter, whose payload lies at `ref`."""

    customer: str
    serial: int
    id: str
    attempts: int
    cost: int
    reason: str
    published_ms: int
    died_ms: int
    ref: Ref


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


def page_of_dead_letters(dead: Iterable[Entry], limit: int, cursor: str | None) -> Page[DeadEntry]:
    """List dead entries after the cursor, in the order given, which is that of their deaths."""
    text = _text_after("death:", cursor)
    if text and not (text.isascii() and text.isdigit()):
        raise InvalidArgument(_NO_CURSOR)
    after, last = int(text or -1), 0
    items: list[DeadEntry] = []
    for entry in dead:
        death = entry.death
        if death is None or death.number <= after:
            continue
        if len(items) == limit:
            return Page(items, f"death:{last}")
        last = death.number
        items.append(describe_dead(entry))
    return Page(items, None)


def describe_dead(entry: Entry) -> DeadEntry:
    """Tell what is known of a dead entry."""
    death = entry.death
    return DeadEntry(
        entry.customer.name,
        entry.serial,
        id_of(entry.serial),
        entry.attempts,
        entry.cost,
        "" if death is None else death.reason,
        entry.published_ms,
        0 if death is None else death.died_ms,
        entry.ref,
    )


def _text_after(prefix: str, cursor: str | None) -> str:
    if cursor is None:
        return ""
    if not cursor.startswith(prefix) or cursor == prefix:
        raise InvalidArgument(_NO_CURSOR)
    return cursor.removeprefix(prefix)
