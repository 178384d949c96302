"""What the library's errors mean to a dispatcher."""

from __future__ import annotations

import sqlite3

from broker_core.errors import BrokerFull, BrokerUnavailable, DispatcherError

_PRIMARY = 0xFF  # the other bits of a code say more than we need


class DiskFailed(BrokerUnavailable):
    """Reading or writing failed: the transaction may have been completed or not."""


def translated(error: sqlite3.Error) -> DispatcherError:
    """Return the dispatcher's error for one of SQLite, by its code and never by its text."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
    if code == sqlite3.SQLITE_BUSY:
        return BrokerUnavailable(f"other processes kept the file locked for too long: {error}")
    if code == sqlite3.SQLITE_FULL:
        return BrokerFull(f"the disk is full: {error}")
    if code == sqlite3.SQLITE_IOERR:
        return DiskFailed(f"the disk failed: {error}")
    return BrokerUnavailable(f"SQLite can't use the file: {error}", retryable=False)
