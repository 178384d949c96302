"""The seam's methods over an SQLite file: each is one transaction, run by the adapter's thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from broker_core.adapter import BrokerAdapter, Capabilities, OutcomeUnknown, Settlement
from broker_core.errors import BrokerUnavailable, ConfigurationError, DispatcherError
from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, DeadLetter, Delivery, Message, Page
from fair_sqlite import customers, dead_letters, publishing, receiving, settling
from fair_sqlite.connection import Database, Version
from fair_sqlite.errors import DiskFailed, translated
from fair_sqlite.receipts import new_token, read_receipt
from fair_sqlite.settings import SqliteSettings

P = ParamSpec("P")
T = TypeVar("T")

_POLL_SECONDS = 0.02
_CLOSE_SECONDS = 0.8


class SqliteAdapter(BrokerAdapter):
    """All processes of a machine that use the same folder and namespace share its messages."""

    settings_type: ClassVar[type[SqliteSettings]] = SqliteSettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        fairness_scope="namespace",
        lease_enforced_by="broker",
        attempts="exact",
        backlog="exact",
        dedup="namespace",
        policies=frozenset({"weight", "paused"}),
        scheduled=False,
        ttl=False,
        priorities=False,
        max_customers=10_000,
        takeover_seconds=None,
        residue="the file, with empty tables; it doesn't shrink, but uses its space again",
    )

    def __init__(self, settings: SqliteSettings, client: Any = None) -> None:
        if client is not None:
            raise ConfigurationError("client must be None: a connection belongs to the adapter's thread")
        self._settings = settings
        self._database = Database(settings)
        self._thread: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        """Open the file, making it and its tables if they are missing."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fair-sqlite")
        try:
            await self._run(self._database.open)
        except DispatcherError:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the file when the calls that were made before have ended; wait for that for a moment."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        closing = asyncio.get_running_loop().run_in_executor(thread, self._database.close)
        thread.shutdown(wait=False)
        await asyncio.wait([closing], timeout=_CLOSE_SECONDS)

    async def _run(self, call: Callable[[], T]) -> T:
        future = asyncio.wrap_future(self._executor.submit(call))
        try:
            return await future
        except sqlite3.Error as error:
            raise translated(error) from error

    async def _atomically(
        self, operation: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._run(lambda: self._database.atomically(operation, *args, **kwargs))

    @property
    def _executor(self) -> ThreadPoolExecutor:
        if self._thread is None:
            raise RuntimeError("open() comes first")
        return self._thread

    async def publish(self, messages: Sequence[Message]) -> list[str | DispatcherError]:
        """Store all messages or none."""
        try:
            return [*await self._atomically(publishing.publish, messages, self._settings)]
        except DiskFailed as error:
            unknown = OutcomeUnknown(str(error))
            unknown.__cause__ = error
            return [unknown] * len(messages)

    async def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:
        """Lease messages; while there are none, look whether the file has changed."""
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + wait_seconds
        token = new_token()
        try:
            while True:
                found = await self._receive(max_messages, token, give_up_at)
                seconds_left = give_up_at - clock()
                if found.deliveries or seconds_left <= 0:
                    return found.deliveries
                await self._changed(found.version, min(seconds_left, found.next_due_seconds))
        except (asyncio.CancelledError, DispatcherError):
            # The thread works in order, so this comes after whatever this call has begun.
            self._executor.submit(self._database.atomically, receiving.give_back, token)
            raise

    async def _receive(self, max_messages: int, token: str, give_up_at: float) -> receiving.Received:
        while True:
            try:
                return await self._atomically(receiving.receive, max_messages, token, self._settings)
            except BrokerUnavailable as error:
                if not error.retryable or asyncio.get_running_loop().time() >= give_up_at:
                    raise

    async def _changed(self, version: Version, seconds: float) -> None:
        """Return when the file differs from that version, after `seconds` at the latest."""
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + seconds
        while (seconds_left := give_up_at - clock()) > 0:
            await asyncio.sleep(min(_POLL_SECONDS, seconds_left))
            if await self._run(self._database.version) != version:
                return

    async def settle(self, receipts: Sequence[str], settlement: Settlement) -> list[str]:
        """End leases."""
        read = [read_receipt(receipt) for receipt in receipts]
        return await self._atomically(settling.settle, read, settlement, self._settings)

    async def extend(self, receipts: Sequence[str], seconds: float) -> list[datetime | None]:
        """Renew leases."""
        return await self._atomically(settling.extend, [read_receipt(one) for one in receipts], seconds)

    async def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:
        """Replace the customer's policy for all at once."""
        await self._atomically(customers.set_policy, customer, policy)

    async def inspect(self, customer: str | None) -> tuple[Backlog, CustomerPolicy | None]:
        """Count after everything whose time has come was moved."""
        return await self._atomically(customers.inspect, customer, self._settings)

    async def customers(self, limit: int, cursor: str | None) -> Page[CustomerBacklog]:
        """List customers by name."""
        return await self._atomically(customers.customers, limit, cursor, self._settings)

    async def dead_letters(self, customer: str | None, limit: int, cursor: str | None) -> Page[DeadLetter]:
        """List dead letters, the oldest death first."""
        return await self._atomically(dead_letters.dead_letters, customer, limit, cursor, self._settings)

    async def end_dead_letters(self, customer: str, ids: Sequence[str] | None, *, redrive: bool) -> int:
        """Redrive or remove dead letters in the order of their deaths."""
        return await self._atomically(
            dead_letters.end_dead_letters, customer, ids, self._settings, redrive=redrive
        )

    async def purge(self, customer: str) -> int:
        """Remove what is ready, delayed or leased of the customer."""
        return await self._atomically(customers.purge, customer)
