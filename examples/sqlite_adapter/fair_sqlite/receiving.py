"""Handing messages over, and giving back what a cancelled call took."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass

from broker_core.envelope import UndecodableEnvelope, decode
from broker_core.model import Delivery
from broker_core.settings import DispatcherSettings
from fair_sqlite.connection import Database, Version, microseconds, now, utc
from fair_sqlite.receipts import make_receipt
from fair_sqlite.ring import choose
from fair_sqlite.states import advance, bury, make_ready

_NEXT_DUE = """
    SELECT min(due) FROM (
        SELECT min(due) AS due FROM messages WHERE state = 'leased'
        UNION ALL SELECT min(due) FROM messages WHERE state = 'delayed')"""


@dataclass(frozen=True, slots=True)
class Received:
    """What was handed over; if nothing was, when to look again.

    version: of the file; there may be something when it is another one.
    next_due_seconds: after that time something becomes ready by itself.
    """

    deliveries: list[Delivery]
    version: Version
    next_due_seconds: float


def receive(db: Database, max_messages: int, token: str, settings: DispatcherSettings) -> Received:
    """Lease what deficit round robin chooses, after everything whose time has come was made ready."""
    advance(db, settings)
    lease_end = now() + microseconds(settings.lease_seconds)
    deliveries: list[Delivery] = []
    while chosen := choose(db, max_messages - len(deliveries), settings.quantum):
        handed_over = (_hand_over(db, message, token, lease_end) for message in chosen)
        deliveries += [delivery for delivery in handed_over if delivery is not None]
    due = db.value(_NEXT_DUE)
    next_due_seconds = math.inf if due is None else max(0, due - now()) / 1_000_000
    return Received(deliveries, db.version(), next_due_seconds)


def _hand_over(db: Database, message: sqlite3.Row, token: str, lease_end: int) -> Delivery | None:
    try:
        content = decode(message["envelope"], message["customer"], message["cost"])
    except UndecodableEnvelope:
        bury(db, message, attempts=message["attempts"], reason="undecodable entry")
        return None
    attempt = message["attempts"] + 1
    db.execute(
        "UPDATE messages SET attempts = ?, due = ?, token = ? WHERE id = ?",
        attempt,
        lease_end,
        token,
        message["id"],
    )
    receipt = make_receipt(message["id"], token)
    return Delivery(
        content, str(message["id"]), attempt, utc(message["published_at"]), utc(lease_end), receipt
    )


def give_back(db: Database, token: str) -> None:
    """Make ready what the receive of this token took, no attempt counted."""
    for message in db.rows("SELECT * FROM messages WHERE state = 'leased' AND token = ?", token):
        make_ready(db, message, attempts=message["attempts"] - 1)
