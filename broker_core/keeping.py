"""Keeps the leases of what a worker holds, and notices when one is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from time import monotonic

from broker_core.dispatcher import FairDispatcher
from broker_core.errors import DispatcherError, LeaseLost
from broker_core.model import Delivery
from broker_core.outage import Outage, pause_seconds

_RENEWALS_PER_LEASE = 3


@dataclass(slots=True, eq=False)
class Held:
    """A delivery that is ours until `deadline` (monotonic seconds); dropped: no longer ours to settle."""

    delivery: Delivery
    deadline: float
    task: asyncio.Task[None] | None = None
    dropped: bool = False


class LeaseKeeper:
    """Renews every lease it holds in one call, three times in the time of a lease.

    A lease counts from before the request that began or renewed it, so that it ends here before it ends
    in the broker. on_lost is called for a delivery whose lease has ended; it is held no longer then.
    `run` is to be running.
    """

    def __init__(self, dispatcher: FairDispatcher, outage: Outage, on_lost: Callable[[Held], None]) -> None:
        self._dispatcher = dispatcher
        self._outage = outage
        self._on_lost = on_lost
        self._lease_seconds = dispatcher.settings.lease_seconds
        self._held: dict[str, Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    @property
    def longest_wait_seconds(self) -> float:
        """How long a receive may wait so that what it brings is renewed in time."""
        return self._lease_seconds / _RENEWALS_PER_LEASE

    def hold(self, deliveries: Iterable[Delivery], requested_at: float) -> list[Held]:
        """Keep the leases of what was received with a request made at that time (monotonic seconds)."""
        deadline = requested_at + self._lease_seconds
        fresh = [Held(delivery, deadline) for delivery in deliveries]
        for held in fresh:
            self._held[held.delivery.receipt] = held
        return fresh

    def let_go(self, held: Held) -> None:
        """Renew this lease no longer."""
        self._held.pop(held.delivery.receipt, None)

    async def run(self) -> None:
        """Renew for ever; raises an error with which trying again can't help."""
        while True:
            await asyncio.sleep(self._lease_seconds / _RENEWALS_PER_LEASE)
            await self._renew()

    async def _renew(self) -> None:
        for attempt in count(1):
            self._lose_overdue()
            if not self._held:
                return
            requested_at = monotonic()
            receipts = list(self._held)
            try:
                async with asyncio.timeout(self._seconds_left()):
                    lost = await self._extend(receipts)
            except TimeoutError:
                continue
            except DispatcherError as error:
                self._outage.goes_on(error)
                await asyncio.sleep(min(pause_seconds(attempt), self._seconds_left()))
                continue
            self._outage.is_over()
            self._note_renewal(receipts, lost, requested_at)
            return

    async def _extend(self, receipts: list[str]) -> list[str]:
        try:
            await self._dispatcher.extend(receipts)
        except LeaseLost as error:
            return error.lost
        return []

    def _note_renewal(self, receipts: list[str], lost: list[str], requested_at: float) -> None:
        for receipt in lost:
            if (held := self._held.get(receipt)) is not None:
                self._lose(held)
        for receipt in receipts:
            if (held := self._held.get(receipt)) is not None:
                held.deadline = requested_at + self._lease_seconds

    def _seconds_left(self) -> float:
        earliest = min((held.deadline for held in self._held.values()), default=0.0)
        return max(0.0, earliest - monotonic())

    def _lose_overdue(self) -> None:
        now = monotonic()
        for held in [held for held in self._held.values() if held.deadline <= now]:
            self._lose(held)

    def _lose(self, held: Held) -> None:
        self.let_go(held)
        self._on_lost(held)
