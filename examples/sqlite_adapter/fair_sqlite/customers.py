"""Customers: their policies, their counts, their names, and the end of their messages."""

from __future__ import annotations

from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, Page
from broker_core.settings import DispatcherSettings
from fair_sqlite.connection import Database
from fair_sqlite.cursors import make_cursor, read_cursor
from fair_sqlite.ring import join, leave
from fair_sqlite.states import advance

_CURSOR = "customer"
_NAMES = """
    SELECT customer FROM messages WHERE customer > ?1
    UNION SELECT customer FROM policies WHERE customer > ?1 ORDER BY customer LIMIT ?2"""


def set_policy(db: Database, customer: str, policy: CustomerPolicy | None) -> None:
    """Replace the customer's policy; one that is no longer paused joins the ring at the tail."""
    if policy is None:
        db.execute("DELETE FROM policies WHERE customer = ?", customer)
    else:
        db.execute("REPLACE INTO policies VALUES (?, ?, ?)", customer, policy.weight, policy.paused)
    if db.row("SELECT 1 FROM messages WHERE customer = ? AND state = 'ready'", customer):
        join(db, [customer])


def inspect(
    db: Database, customer: str | None, settings: DispatcherSettings
) -> tuple[Backlog, CustomerPolicy | None]:
    """Count messages by state, of a customer or of all, and tell the customer's policy."""
    advance(db, settings)
    if customer is None:
        return Backlog(
            **dict(map(tuple, db.rows("SELECT state, count(*) FROM messages GROUP BY state")))
        ), None
    return _backlog(db, customer), _policy(db, customer)


def _backlog(db: Database, customer: str) -> Backlog:
    counts = db.rows("SELECT state, count(*) FROM messages WHERE customer = ? GROUP BY state", customer)
    return Backlog(**dict(map(tuple, counts)))


def _policy(db: Database, customer: str) -> CustomerPolicy | None:
    row = db.row("SELECT weight, paused FROM policies WHERE customer = ?", customer)
    if row is None:
        return None
    return CustomerPolicy(weight=row["weight"], paused=None if row["paused"] is None else bool(row["paused"]))


def customers(
    db: Database, limit: int, cursor: str | None, settings: DispatcherSettings
) -> Page[CustomerBacklog]:
    """List customers with a message in any state or a policy, by name."""
    after = read_cursor(_CURSOR, cursor)
    advance(db, settings)
    names = [row["customer"] for row in db.rows(_NAMES, after, limit + 1)]
    items = [CustomerBacklog(name, _backlog(db, name)) for name in names[:limit]]
    return Page(items, make_cursor(_CURSOR, items[-1].customer) if len(names) > limit else None)


def purge(db: Database, customer: str) -> int:
    """Remove what is ready, delayed or leased of the customer; return how many."""
    leave(db, customer)
    return db.execute("DELETE FROM messages WHERE customer = ? AND state <> 'dead'", customer)
