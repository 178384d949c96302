"""Storing messages."""

from __future__ import annotations

from collections.abc import Sequence

from broker_core.envelope import encode
from broker_core.model import Message
from broker_core.settings import DispatcherSettings
from fair_sqlite.connection import Database, microseconds, now
from fair_sqlite.ring import join

_INSERT = """
    INSERT INTO messages (id, place, customer, state, cost, published_at, envelope)
    VALUES (?1, ?1, ?2, 'ready', ?3, ?4, ?5)"""
_RECOGNISED = "SELECT id FROM recognised WHERE customer = ? AND key = ? AND until > ?"


def publish(db: Database, messages: Sequence[Message], settings: DispatcherSettings) -> list[str]:
    """Store the messages and return their ids; a known (customer, Message.id) isn't stored again."""
    time = now()
    ids = [_publish_one(db, message, time, settings.dedup_window) for message in messages]
    join(db, dict.fromkeys(message.customer for message in messages))
    return [str(number) for number in ids]


def _publish_one(db: Database, message: Message, time: int, dedup_seconds: float) -> int:
    recognised = message.id is not None and dedup_seconds > 0
    if recognised:
        known: int | None = db.value(_RECOGNISED, message.customer, message.id, time)
        if known is not None:
            return known
    number = db.next_number()
    db.execute(_INSERT, number, message.customer, message.cost, time, encode(message))
    if recognised:
        until = time + microseconds(dedup_seconds)
        db.execute("REPLACE INTO recognised VALUES (?, ?, ?, ?)", message.customer, message.id, number, until)
    return number
