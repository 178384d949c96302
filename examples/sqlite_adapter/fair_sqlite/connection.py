"""The connection to a namespace's file, and transactions on it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, Concatenate, ParamSpec, TypeVar

from fair_sqlite.settings import SqliteSettings

P = ParamSpec("P")
T = TypeVar("T")

Version = tuple[int, int]
_EPOCH = datetime.fromtimestamp(0, UTC)
_RETRY_SECONDS = 0.01


class Database:
    """One connection, which belongs to the thread that opens it."""

    def __init__(self, settings: SqliteSettings) -> None:
        self._settings = settings
        self._connection: sqlite3.Connection | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """The open connection."""
        if self._connection is None:
            raise RuntimeError("open() comes first")
        return self._connection

    def open(self) -> None:
        """Connect and make the tables that are missing."""
        self._connection = sqlite3.connect(
            self._settings.file, timeout=self._settings.timeout_seconds, isolation_level=None
        )
        self._connection.row_factory = sqlite3.Row
        self._begin_write_ahead_log()
        self.execute(f"PRAGMA synchronous = {self._settings.synchronous}")
        self.atomically(_make_tables)

    def _begin_write_ahead_log(self) -> None:
        # With a log beside the file nobody waits to read. Processes that begin it at once are told that
        # the file is locked, without the wait that every other statement has.
        give_up_at = time.monotonic() + self._settings.timeout_seconds
        while True:
            try:
                self.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                    raise
                time.sleep(_RETRY_SECONDS)
            else:
                return

    def close(self) -> None:
        """Disconnect. Idempotent."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def atomically(
        self, operation: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run the operation alone among all processes, with all of its changes or none."""
        # IMMEDIATE, since a transaction that begins by reading can fail when it comes to write.
        self.execute("BEGIN IMMEDIATE")
        try:
            result = operation(self, *args, **kwargs)
            self.execute("COMMIT")
        except BaseException:
            self.connection.rollback()
            raise
        return result

    def execute(self, statement: str, *values: object) -> int:
        """Run a statement and return how many rows it changed."""
        return self.connection.execute(statement, values).rowcount

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows of the answer."""
        return self.connection.execute(query, values).fetchall()

    def row(self, query: str, *values: object) -> sqlite3.Row | None:
        """Return the first row of the answer, None if there is none."""
        with closing(self.connection.execute(query, values)) as cursor:
            row: sqlite3.Row | None = cursor.fetchone()
            return row

    def value(self, query: str, *values: object) -> Any:
        """Return the first value of the answer, None if there is none."""
        row = self.row(query, *values)
        return None if row is None else row[0]

    def next_number(self) -> int:
        """Return a number that is larger than any before, in this namespace."""
        self.execute("UPDATE numbers SET last = last + 1")
        number: int = self.value("SELECT last FROM numbers")
        return number

    def version(self) -> Version:
        """Tell what differs after every change of the file, by this connection or another; locks nothing."""
        return self.value("PRAGMA data_version"), self.connection.total_changes


def _make_tables(db: Database) -> None:
    # One by one: `executescript` would commit what was begun.
    statement = ""
    for line in files(__package__).joinpath("schema.sql").read_text("utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""


def now() -> int:
    """Return the time of the machine's clock, which all processes share, in microseconds since 1970."""
    return time.time_ns() // 1000


def microseconds(seconds: float) -> int:
    """Return seconds as microseconds."""
    return round(seconds * 1_000_000)


def utc(time_us: int) -> datetime:
    """Return microseconds since 1970 as an aware datetime."""
    return _EPOCH + timedelta(microseconds=time_us)
