"""What the suite needs to know about this adapter, and its plugin."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest

from broker_core.adapter import Capabilities
from broker_core.conformance.harness import Features, Harness
from broker_core.conformance.proxy import TcpProxy
from broker_core.dispatcher import FairDispatcher
from broker_core.factory import open_dispatcher
from broker_core.model import Delivery
from broker_core.registry import find_adapter

pytest_plugins = ["broker_core.conformance.plugin"]

_TABLES = ("messages", "ring", "policies", "recognised")
_GARBAGE = """
    INSERT INTO messages (id, place, customer, state, cost, published_at, envelope)
    VALUES (?1, ?1, ?2, 'ready', 1, 0, X'FFFF')"""


class SqliteHarness(Harness):
    """The adapter as programs get it: by its name, from the entry point."""

    features: ClassVar[Features] = Features(
        processes=True,
        restartable=False,
        proxy=False,
        credentials=False,
        garbage=True,
        removal=True,
    )

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    @property
    def capabilities(self) -> Capabilities:
        """What the adapter declares."""
        return find_adapter("sqlite").capabilities

    def worker_target(self) -> Mapping[str, Any]:
        """How another process reaches the same files."""
        return {"broker": "sqlite", "url": f"sqlite:{self._folder}", "synchronous": "NORMAL"}

    def make(self, namespace: str, proxy: TcpProxy | None, settings: Mapping[str, Any]) -> FairDispatcher:
        """Make a dispatcher over the file of the namespace."""
        assert proxy is None
        return open_dispatcher(**{**self.worker_target(), "namespace": namespace, **settings})

    async def residue(self, namespace: str) -> Collection[str]:
        """Name the tables that hold anything."""
        with closing(self._connect(namespace)) as connection:
            counts = {
                table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _TABLES
            }
        return [f"{count} rows in {table}" for table, count in counts.items() if count]

    def constant_residue(self, namespace: str) -> Collection[str]:
        """Nothing may be left in the tables."""
        return []

    async def inject_garbage(self, namespace: str, customer: str) -> None:
        """Store bytes that are no envelope."""
        with closing(self._connect(namespace)) as connection:
            connection.execute("UPDATE numbers SET last = last + 1")
            (number,) = connection.execute("SELECT last FROM numbers").fetchone()
            connection.execute(_GARBAGE, (number, customer))

    async def remove_leased(self, namespace: str, delivery: Delivery) -> None:
        """Delete a message as somebody with a database tool would."""
        with closing(self._connect(namespace)) as connection:
            connection.execute("DELETE FROM messages WHERE id = ?", (int(delivery.id),))

    def _connect(self, namespace: str) -> sqlite3.Connection:
        return sqlite3.connect(self._folder / f"{namespace}.db", isolation_level=None)


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    """A folder for each test."""
    async with SqliteHarness(tmp_path) as harness:
        yield harness
