"""Dead letters: listing, redriving and removing them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from broker_core.envelope import UndecodableEnvelope, decode
from broker_core.errors import InvalidArgument
from broker_core.model import DeadLetter, Message, Page
from broker_core.settings import DispatcherSettings
from fair_sqlite.connection import Database, utc
from fair_sqlite.cursors import make_cursor, read_cursor
from fair_sqlite.ring import join
from fair_sqlite.states import advance

_CURSOR = "death"
_DEAD = """
    SELECT * FROM messages
    WHERE state = 'dead' AND (?1 IS NULL OR customer = ?1) AND place > ?2 ORDER BY place"""
_REDRIVE = (
    "UPDATE messages SET state = 'ready', place = ?, due = NULL, attempts = 0, reason = '' WHERE id = ?"
)


def dead_letters(
    db: Database, customer: str | None, limit: int, cursor: str | None, settings: DispatcherSettings
) -> Page[DeadLetter]:
    """List dead letters of a customer or of all, the oldest death first."""
    after = read_cursor(_CURSOR, cursor) or "-1"
    if cursor is not None and not (after.isascii() and after.isdigit()):
        raise InvalidArgument("not a cursor of dead letters")
    advance(db, settings)
    found = db.rows(f"{_DEAD} LIMIT ?3", customer, int(after), limit + 1)
    last = str(found[limit - 1]["place"]) if len(found) > limit else None
    return Page([_letter(row) for row in found[:limit]], last and make_cursor(_CURSOR, last))


def _letter(row: sqlite3.Row) -> DeadLetter:
    try:
        message = decode(row["envelope"], row["customer"], row["cost"])
    except UndecodableEnvelope:
        message = Message(row["customer"], bytes(row["envelope"]), cost=row["cost"])
    return DeadLetter(
        str(row["id"]), message, row["attempts"], row["reason"], utc(row["published_at"]), utc(row["due"])
    )


def end_dead_letters(
    db: Database, customer: str, ids: Sequence[str] | None, settings: DispatcherSettings, *, redrive: bool
) -> int:
    """Redrive or remove dead letters in the order of their deaths, all of them if ids is None."""
    advance(db, settings)
    wanted = None if ids is None else set(ids)
    chosen = [row["id"] for row in db.rows(_DEAD, customer, -1) if wanted is None or str(row["id"]) in wanted]
    for message_id in chosen:
        if redrive:
            db.execute(_REDRIVE, db.next_number(), message_id)
        else:
            db.execute("DELETE FROM messages WHERE id = ?", message_id)
    if redrive and chosen:
        join(db, [customer])
    return len(chosen)
