"""Weighted deficit round robin over the customers that have something ready, kept in the file.

The same as broker_core.fairness.DeficitRoundRobin, for several processes that take turns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from fair_sqlite.connection import Database

_READY = "SELECT * FROM messages WHERE state = 'ready' AND customer = ? ORDER BY place LIMIT ?"
_NEXT_TURN = """
    SELECT customer, deficit, visiting, coalesce(weight, 1) AS weight, coalesce(paused, 0) AS paused
    FROM ring LEFT JOIN policies USING (customer) ORDER BY place LIMIT 1"""
_ROUNDS_TO_AFFORD = """
    SELECT min((cost - deficit + share - 1) / share) FROM (
        SELECT deficit, ? * coalesce(weight, 1) AS share,
            (SELECT cost FROM messages WHERE state = 'ready' AND customer = ring.customer
             ORDER BY place LIMIT 1) AS cost
        FROM ring LEFT JOIN policies USING (customer))"""
_GRANT_ROUNDS = """
    UPDATE ring SET deficit = deficit
        + ? * coalesce((SELECT weight FROM policies WHERE customer = ring.customer), 1)"""


def join(db: Database, customers: Iterable[str]) -> None:
    """Put these at the tail, without credit; no effect for those that are in already."""
    for customer in customers:
        if db.row("SELECT 1 FROM ring WHERE customer = ?", customer) is None:
            db.execute("INSERT INTO ring (customer, place) VALUES (?, ?)", customer, db.next_number())


def leave(db: Database, customer: str) -> None:
    """Take the customer out and drop its deficit."""
    db.execute("DELETE FROM ring WHERE customer = ?", customer)


def choose(db: Database, wanted: int, quantum: int) -> list[sqlite3.Row]:
    """Return whose turn it is: up to `wanted` ready messages, which the caller leases at once.

    A visit that `wanted` cuts short goes on with the next call, whoever makes it.
    """
    chosen: list[sqlite3.Row] = []
    customers: int = db.value("SELECT count(*) FROM ring")
    fruitless = 0
    while len(chosen) < wanted and (turn := db.row(_NEXT_TURN)) is not None:
        if fruitless >= customers and not turn["visiting"]:
            _skip_rounds(db, quantum)
            fruitless = 0
            continue
        served = _visit(db, turn, wanted - len(chosen), quantum)
        fruitless = 0 if served else fruitless + 1
        chosen += served
    return chosen


def _visit(db: Database, turn: sqlite3.Row, wanted: int, quantum: int) -> list[sqlite3.Row]:
    customer = turn["customer"]
    # One more than wanted shows whether anything is left.
    ready = [] if turn["paused"] else db.rows(_READY, customer, wanted + 1)
    deficit = turn["deficit"] + (0 if turn["visiting"] else quantum * turn["weight"])
    served: list[sqlite3.Row] = []
    while len(served) < min(wanted, len(ready)) and ready[len(served)]["cost"] <= deficit:
        deficit -= ready[len(served)]["cost"]
        served.append(ready[len(served)])
    db.connection.executemany(
        "UPDATE messages SET state = 'leased' WHERE id = ?", [(message["id"],) for message in served]
    )
    if len(served) == len(ready):
        leave(db, customer)
    elif len(served) == wanted and deficit > 0:
        db.execute("UPDATE ring SET deficit = ?, visiting = 1 WHERE customer = ?", deficit, customer)
    else:
        db.execute(
            "UPDATE ring SET deficit = ?, visiting = 0, place = ? WHERE customer = ?",
            deficit,
            db.next_number(),
            customer,
        )
    return served


def _skip_rounds(db: Database, quantum: int) -> None:
    """Grant what all would get in the rounds before the first in which somebody can afford its head."""
    rounds = db.value(_ROUNDS_TO_AFFORD, quantum) - 1
    db.execute(_GRANT_ROUNDS, rounds * quantum)
