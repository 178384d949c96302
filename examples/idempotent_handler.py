"""Charges customers for messages, each message once, however often it is delivered.

Delivery is at least once: a process that dies after its effect and before its ack gets the message again, in
another process and with attempt + 1. Delivery.id stays the same. So the handler writes the effect and the id
in one transaction of the database that holds the effect, and does nothing for an id that is there already.

python examples/idempotent_handler.py accounts.db
"""

import asyncio
import sqlite3
import sys
from contextlib import closing, suppress

from broker_core import Delivery, Worker, open_dispatcher

SCHEMA = """
CREATE TABLE IF NOT EXISTS charges (customer TEXT PRIMARY KEY, units INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS done (id TEXT PRIMARY KEY);
"""
# Ids must be kept for as long as a message can come again; this program keeps them for good.


def charge(database: str, delivery: Delivery) -> bool:
    """Charge the message's cost unless that was done already; return whether it was done now."""
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:  # commits, or rolls back
        fresh = connection.execute("INSERT OR IGNORE INTO done VALUES (?)", (delivery.id,)).rowcount == 1
        if fresh:
            connection.execute(
                "INSERT INTO charges VALUES (?, ?) ON CONFLICT DO UPDATE SET units = units + excluded.units",
                (delivery.customer, delivery.message.cost),
            )
    return fresh


async def main(database: str) -> None:
    """Work until Ctrl-C."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(SCHEMA)

    async def handle(delivery: Delivery) -> None:
        # In a thread: a database that waits for the disk must not hold up renewing leases.
        await asyncio.to_thread(charge, database, delivery)

    async with open_dispatcher() as d:
        await Worker(d, handle, concurrency=8).run()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/idempotent_handler.py DATABASE")
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
