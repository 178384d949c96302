"""Brokers in memory that break the contract, each in one way, to show that the suite finds it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from broker_core.adapter import Settlement, Verb
from broker_core.errors import DispatcherError
from broker_core.fairness import DeficitRoundRobin
from broker_core.model import Delivery, Message
from broker_core.settings import DispatcherSettings
from fair_memory.adapter import MemoryAdapter
from fair_memory.broker import MemoryBroker
from fair_memory.receipts import read_receipt
from fair_memory.states import Entry, State


class AcksOnNack(MemoryBroker):
    """A message that is nacked is gone."""

    def _nack(self, entry: Entry, settlement: Settlement, settings: DispatcherSettings) -> None:
        self._remove(entry)


class IgnoresTheCustomer(MemoryBroker):
    """All messages belong to one customer."""

    def _store(self, message: Message, *, decodable: bool = True) -> Entry:
        return super()._store(replace(message, customer="all"), decodable=decodable)


class FirstInFirstOut(MemoryBroker):
    """Customers keep their names but not their turns."""

    def _next_customer(self) -> str | None:
        heads = [(head.serial, name) for name, it in self._customers.items() if (head := it.head())]
        return min(heads)[1] if heads else None

    def _take(self, name: str) -> Entry:
        return self._customers[name].take(State.LEASED)


class AcceptsStaleReceipts(MemoryBroker):
    """Whoever once held a message may settle it."""

    def _find_leased(self, receipt: str) -> Entry | None:
        entry_id, name = read_receipt(receipt)
        customer = self._customers.get(name)
        entry = customer.entries.get(entry_id) if customer is not None else None
        return entry if entry is not None and entry.state is State.LEASED else None


class NeverExpires(MemoryBroker):
    """A lease outlives its owner."""

    def _expire(self, entry: Entry, settings: DispatcherSettings) -> None:
        return


class ExpiresEarly(MemoryBroker):
    """A lease ends before it was said to."""

    def _lease(self, entry: Entry, receipt: str, until: float) -> None:
        super()._lease(entry, receipt, until - 0.3 * (until - self._clock()))


class ForgetsAttempts(MemoryBroker):
    """Every delivery is the first."""

    def _make_ready(self, entry: Entry) -> None:
        entry.attempts = 0
        super()._make_ready(entry)


class CountsReleases(MemoryBroker):
    """Giving back costs an attempt."""

    def _settle_one(self, entry: Entry, settlement: Settlement, settings: DispatcherSettings) -> None:
        if settlement.verb is Verb.RELEASE:
            self._make_ready(entry)
        else:
            super()._settle_one(entry, settlement, settings)


class ReleasesToTheTail(MemoryBroker):
    """What is given back comes after what was published later."""

    def _settle_one(self, entry: Entry, settlement: Settlement, settings: DispatcherSettings) -> None:
        if settlement.verb is Verb.RELEASE:
            entry.attempts -= 1
            self._append(entry)
        else:
            super()._settle_one(entry, settlement, settings)


class LeaksCustomers(MemoryBroker):
    """A finished customer stays."""

    def _drop_if_empty(self, name: str) -> None:
        return


class LosesWhenMany(MemoryBroker):
    """The last of a large batch is confirmed and dropped."""

    def publish(
        self, messages: Sequence[Message], settings: DispatcherSettings
    ) -> list[str | DispatcherError]:
        outcomes = super().publish(messages, settings)
        if len(messages) > 500:
            self.purge(messages[-1].customer)
        return outcomes


class GrantsWithEachReceive(MemoryBroker):
    """A visit that was cut short ends, and the next receive grants anew."""

    def receive(self, max_messages: int, settings: DispatcherSettings) -> list[Delivery]:
        deliveries = super().receive(max_messages, settings)
        if self._ring._visiting:
            self._ring._end_visit(next(iter(self._ring._ring)))
        return deliveries


class _RingWithMemory(DeficitRoundRobin):
    def leave(self, customer: str) -> None:
        self._saved = {**getattr(self, "_saved", {}), customer: self._ring.get(customer, 0)}
        super().leave(customer)

    def join(self, customer: str) -> None:
        if customer not in self:
            super().join(customer)
            self._ring[customer] = getattr(self, "_saved", {}).get(customer, 0)


class KeepsCredit(MemoryBroker):
    """A customer that left with some of its quantum unused finds it when it comes back."""

    def __init__(self) -> None:
        super().__init__()
        self._ring = _RingWithMemory(1, self._weight)


class IgnoresWeights(MemoryBroker):
    """All customers weigh the same."""

    def _weight(self, name: str) -> int:
        return 1


class IgnoresCosts(MemoryBroker):
    """All messages cost the same."""

    def _head_cost(self, name: str) -> int | None:
        cost = super()._head_cost(name)
        return None if cost is None else min(cost, 1)

    def _take(self, name: str) -> Entry:
        entry = self._customers[name].take(State.LEASED)
        self._ring.charge(1)
        if self._customers[name].head() is None:
            self._ring.leave(name)
        return entry


class RecoveredGoFirst(MemoryBroker):
    """What comes back goes past the scheduler."""

    def _next_customer(self) -> str | None:
        returned = (name for name, it in self._customers.items() if it._returned)
        return next(returned, None) or super()._next_customer()

    def _take(self, name: str) -> Entry:
        customer = self._customers[name]
        charged = not customer._returned
        entry = customer.take(State.LEASED)
        if charged:
            self._ring.charge(entry.message.cost)
        if customer.head() is None:
            self._ring.leave(name)
        return entry


class DelaysWholeCustomers(MemoryBroker):
    """While one message is delayed, all of its customer wait."""

    def _head_cost(self, name: str) -> int | None:
        delayed = any(it.state is State.DELAYED for it in self._customers[name].entries.values())
        return None if delayed else super()._head_cost(name)


class ForgetsKeys(MemoryBroker):
    """The same message is stored as often as it comes."""

    def _publish_one(self, message: Message, settings: DispatcherSettings) -> str:
        return self._store(message).id


class MixesKeys(MemoryBroker):
    """Two customers can't use the same key."""

    def _publish_one(self, message: Message, settings: DispatcherSettings) -> str:
        known = self._dedup.find(("", message.id or ""), self._clock())
        if known is not None:
            return known
        entry = self._store(message)
        if message.id is not None:
            self._dedup.remember(("", message.id), entry.id, self._clock() + settings.dedup_window)
        return entry.id


class Oversleeps(MemoryBroker):
    """A waiting receive hears of nothing that happens meanwhile."""

    async def changed(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class LosesWhenCancelled(MemoryAdapter):
    """What a receive took is nobody's when it is cancelled on its way back."""

    async def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:
        deliveries = await super().receive(max_messages, wait_seconds)
        await asyncio.sleep(0)
        return deliveries


class Spins(MemoryAdapter):
    """Waiting is asking all the time."""

    async def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:
        clock = asyncio.get_running_loop().time
        until = clock() + wait_seconds
        while clock() < until:
            if deliveries := self._broker.receive(max_messages, self._settings):
                return deliveries
            await asyncio.sleep(0)
        return []


class SwallowsCancellation(MemoryAdapter):
    """A call that is cancelled too late succeeds."""

    async def publish(self, messages: Sequence[Message]) -> list[str | DispatcherError]:
        outcomes = await super().publish(messages)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return outcomes
        return outcomes
