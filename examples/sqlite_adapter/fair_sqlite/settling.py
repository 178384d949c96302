"""How leases end, by a verb of their owner, and how they are renewed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from broker_core.adapter import Settlement, Verb
from broker_core.settings import DispatcherSettings
from fair_sqlite.connection import Database, microseconds, now, utc
from fair_sqlite.receipts import Receipt
from fair_sqlite.states import bury, delay, make_ready


def settle(
    db: Database, receipts: Sequence[Receipt], settlement: Settlement, settings: DispatcherSettings
) -> list[str]:
    """End the leases and return the receipts that were lost; those change nothing."""
    lost: list[str] = []
    for receipt in receipts:
        message = db.row("SELECT * FROM messages WHERE id = ?", receipt.id)
        # A lease whose time is over is its owner's until somebody took it back.
        if message is not None and message["token"] == receipt.token:
            _settle_one(db, message, settlement, settings)
        elif settlement.verb is not Verb.ACK or message is not None:
            lost.append(receipt.text)
    return lost


def _settle_one(
    db: Database, message: sqlite3.Row, settlement: Settlement, settings: DispatcherSettings
) -> None:
    attempts = message["attempts"]
    match settlement.verb:
        case Verb.ACK:
            db.execute("DELETE FROM messages WHERE id = ?", message["id"])
        case Verb.RELEASE:
            make_ready(db, message, attempts=attempts - 1)
        case Verb.NACK if attempts < settings.max_attempts:
            if settlement.delay_seconds > 0:
                delay(db, message, settlement.delay_seconds)
            else:
                make_ready(db, message, attempts=attempts)
        case Verb.NACK | Verb.DEAD_LETTER:
            bury(db, message, attempts=attempts, reason=settlement.reason)


def extend(db: Database, receipts: Sequence[Receipt], seconds: float) -> list[datetime | None]:
    """Let the leases end in `seconds`; return their ends, None for those that were lost."""
    end = now() + microseconds(seconds)
    changed = [
        db.execute("UPDATE messages SET due = ? WHERE id = ? AND token = ?", end, one.id, one.token)
        for one in receipts
    ]
    return [utc(end) if count else None for count in changed]
