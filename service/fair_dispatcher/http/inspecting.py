"""Looks: at customers, one customer, dead letters. A bound key sees its own customers only."""

from __future__ import annotations

from broker_core import Backlog, CustomerPolicy, DeadLetter
from broker_core.model import CustomerBacklog
from fair_dispatcher.http import queries
from fair_dispatcher.http.answers import Answer, json_answer
from fair_dispatcher.http.service import Call
from fair_dispatcher.http.wire import (
    BacklogBody,
    CustomerBody,
    CustomerEntry,
    Customers,
    DeadLetters,
    PolicyBody,
    dead_letter_entry,
)

_EMPTY = Backlog()


async def customers(call: Call) -> Answer:
    """List customers that have a message or a policy."""
    limit, cursor = queries.whole_number(call, "limit", 100, queries.MOST_ENTRIES), queries.cursor(call)
    if call.key is None or call.key.customers is None:
        page = await queries.listed(call.service.dispatcher.customers(limit, cursor))
        entries, next_cursor = page.items, page.cursor
    else:
        entries, next_cursor = await _own_customers(call, sorted(call.key.customers), limit, cursor)
    return json_answer(
        Customers([CustomerEntry(one.customer, _backlog(one.backlog)) for one in entries], next_cursor)
    )


async def _own_customers(
    call: Call, own: list[str], limit: int, cursor: str | None
) -> tuple[list[CustomerBacklog], str | None]:
    dispatcher = call.service.dispatcher
    found: list[CustomerBacklog] = []
    for place in range(_place(cursor, own), len(own)):
        if len(found) == limit:
            return found, str(place)
        backlog = await dispatcher.backlog(own[place])
        if backlog != _EMPTY or await dispatcher.get_policy(own[place]) is not None:
            found.append(CustomerBacklog(own[place], backlog))
    return found, None


async def customer(call: Call) -> Answer:
    """Tell a customer's messages by state, and its policy; zeros for one that has none."""
    dispatcher = call.service.dispatcher
    backlog = await dispatcher.backlog(call.customer)
    policy = await dispatcher.get_policy(call.customer)
    return json_answer(
        CustomerBody(call.customer, _backlog(backlog), None if policy is None else policy_body(policy))
    )


async def customer_dead_letters(call: Call) -> Answer:
    """List dead letters of a customer, the oldest death first."""
    limit, cursor = queries.whole_number(call, "limit", 50, queries.MOST_ENTRIES), queries.cursor(call)
    page = await queries.listed(call.service.dispatcher.dead_letters(call.customer, limit, cursor))
    return json_answer(DeadLetters([dead_letter_entry(letter) for letter in page], page.cursor))


async def dead_letters(call: Call) -> Answer:
    """List dead letters of all customers; for a bound key of its own, one customer after another."""
    limit, cursor = queries.whole_number(call, "limit", 50, queries.MOST_ENTRIES), queries.cursor(call)
    if call.key is None or call.key.customers is None:
        page = await queries.listed(call.service.dispatcher.dead_letters(None, limit, cursor))
        letters, next_cursor = page.items, page.cursor
    else:
        letters, next_cursor = await _own_dead_letters(call, sorted(call.key.customers), limit, cursor)
    return json_answer(DeadLetters([dead_letter_entry(letter) for letter in letters], next_cursor))


async def _own_dead_letters(
    call: Call, own: list[str], limit: int, cursor: str | None
) -> tuple[list[DeadLetter], str | None]:
    number, _, inner = (cursor or "0:").partition(":")
    found: list[DeadLetter] = []
    for place in range(_place(number, own), len(own)):
        listing = call.service.dispatcher.dead_letters(own[place], limit - len(found), inner or None)
        page = await queries.listed(listing)
        found += page.items
        if page.cursor is not None:
            return found, f"{place}:{page.cursor}"
        inner = ""
        if len(found) == limit:
            return found, f"{place + 1}:" if place + 1 < len(own) else None
    return found, None


def policy_body(policy: CustomerPolicy) -> PolicyBody:
    """Return a policy as it is answered."""
    return PolicyBody(**{name: getattr(policy, name) for name in PolicyBody.__struct_fields__})


def _backlog(backlog: Backlog) -> BacklogBody:
    return BacklogBody(backlog.ready, backlog.leased, backlog.delayed, backlog.dead)


def _place(cursor: str | None, own: list[str]) -> int:
    if cursor is None:
        return 0
    place = int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) <= 9 else len(own)
    if place >= len(own):
        raise queries.wrong_cursor()
    return place
