"""The moves of a message from one state to another."""

from __future__ import annotations

import sqlite3

from broker_core.settings import DispatcherSettings
from fair_sqlite.connection import Database, microseconds, now
from fair_sqlite.ring import join

_DUE = "SELECT * FROM messages WHERE state = ? AND due <= ? ORDER BY due, place"


def make_ready(db: Database, message: sqlite3.Row, *, attempts: int) -> None:
    """Make a message ready at its old place, ahead of what was never handed over."""
    db.execute(
        "UPDATE messages SET state = 'ready', token = NULL, due = NULL, attempts = ? WHERE id = ?",
        attempts,
        message["id"],
    )
    join(db, [message["customer"]])


def delay(db: Database, message: sqlite3.Row, seconds: float) -> None:
    """Keep a message until the delay is over."""
    db.execute(
        "UPDATE messages SET state = 'delayed', token = NULL, due = ? WHERE id = ?",
        now() + microseconds(seconds),
        message["id"],
    )


def bury(db: Database, message: sqlite3.Row, *, attempts: int, reason: str) -> None:
    """Make a message the latest dead letter."""
    db.execute(
        "UPDATE messages SET state = 'dead', token = NULL, due = ?, place = ?, attempts = ?, reason = ? "
        "WHERE id = ?",
        now(),
        db.next_number(),
        attempts,
        reason,
        message["id"],
    )


def advance(db: Database, settings: DispatcherSettings) -> None:
    """End leases and delays whose time has come, forget what is too old."""
    time = now()
    for message in db.rows(_DUE, "leased", time):
        attempts = message["attempts"]
        if attempts >= settings.max_attempts:
            bury(db, message, attempts=attempts, reason="lease expired on the last attempt")
        else:
            make_ready(db, message, attempts=attempts)
    for message in db.rows(_DUE, "delayed", time):
        make_ready(db, message, attempts=message["attempts"])
    oldest = time - microseconds(settings.dead_letter_retention)
    db.execute("DELETE FROM messages WHERE state = 'dead' AND due <= ?", oldest)
    db.execute("DELETE FROM recognised WHERE until <= ?", time)
