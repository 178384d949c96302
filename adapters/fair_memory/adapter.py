"""The seam's methods over a MemoryBroker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from broker_core.adapter import BrokerAdapter, Capabilities, Settlement
from broker_core.errors import ConfigurationError, DispatcherError
from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, DeadLetter, Delivery, Message, Page
from fair_memory.broker import MemoryBroker
from fair_memory.namespaces import Key, join_namespace, leave_namespace
from fair_memory.settings import MemorySettings


class MemoryAdapter(BrokerAdapter):
    """Dispatchers of one process with the same URL and namespace share a broker, in one event loop.

    client: a MemoryBroker, to be used instead of the shared one.
    """

    settings_type: ClassVar[type[MemorySettings]] = MemorySettings
    broker_type: ClassVar[type[MemoryBroker]] = MemoryBroker
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
        max_customers=1_000_000,
        takeover_seconds=None,
        residue="nothing",
    )

    def __init__(self, settings: MemorySettings, client: Any = None) -> None:
        if not (client is None or isinstance(client, MemoryBroker)):
            raise ConfigurationError(f"client must be a MemoryBroker, not {type(client).__name__}")
        self._settings = settings
        self._client: MemoryBroker | None = client
        self._shared: MemoryBroker | None = None

    @property
    def _key(self) -> Key:
        return self.broker_type, self._settings.broker_name, self._settings.namespace

    @property
    def _broker(self) -> MemoryBroker:
        broker = self._client or self._shared
        if broker is None:
            raise RuntimeError("open() comes first")
        return broker

    async def open(self) -> None:
        """Share the broker of this URL and namespace."""
        if self._client is None:
            self._shared = join_namespace(self._key)

    async def close(self) -> None:
        """Leave the broker; what is in it stays for the others."""
        if self._shared is not None:
            self._shared = None
            leave_namespace(self._key)

    async def publish(self, messages: Sequence[Message]) -> list[str | DispatcherError]:
        """Store the messages; returns at once."""
        return self._broker.publish(messages, self._settings)

    async def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:
        """Lease messages. Nothing is taken but in the step that returns it, so cancelling loses nothing."""
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + wait_seconds
        while True:
            deliveries = self._broker.receive(max_messages, self._settings)
            seconds_left = give_up_at - clock()
            if deliveries or seconds_left <= 0:
                return deliveries
            await self._broker.changed(seconds_left)

    async def settle(self, receipts: Sequence[str], settlement: Settlement) -> list[str]:
        """End leases; returns at once."""
        return self._broker.settle(receipts, settlement, self._settings)

    async def extend(self, receipts: Sequence[str], seconds: float) -> list[datetime | None]:
        """Renew leases; returns at once."""
        return self._broker.extend(receipts, seconds)

    async def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:
        """Replace the customer's policy for all at once."""
        self._broker.set_policy(customer, policy)

    async def inspect(self, customer: str | None) -> tuple[Backlog, CustomerPolicy | None]:
        """Count after everything whose time has come was moved."""
        return self._broker.inspect(customer, self._settings)

    async def customers(self, limit: int, cursor: str | None) -> Page[CustomerBacklog]:
        """List customers by name."""
        return self._broker.customers(limit, cursor, self._settings)

    async def dead_letters(self, customer: str | None, limit: int, cursor: str | None) -> Page[DeadLetter]:
        """List dead letters, the oldest death first."""
        return self._broker.dead_letters(customer, limit, cursor, self._settings)

    async def end_dead_letters(self, customer: str, ids: Sequence[str] | None, *, redrive: bool) -> int:
        """Redrive or remove dead letters in the order of their deaths."""
        return self._broker.end_dead_letters(customer, ids, self._settings, redrive=redrive)

    async def purge(self, customer: str) -> int:
        """Remove what is ready, delayed or leased of the customer."""
        return self._broker.purge(customer)
