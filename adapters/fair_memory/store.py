"""What a namespace holds, and the moves of a message from one state to another."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

from broker_core.fairness import DeficitRoundRobin
from broker_core.model import CustomerPolicy, Message
from broker_core.settings import DispatcherSettings
from fair_memory.agenda import Agenda
from fair_memory.dedup import Dedup
from fair_memory.states import Customer, Entry, State, copy_of
from fair_memory.times import utc
from fair_memory.waiters import Waiters

_serials = count(1)  # of the process, so that a namespace that was dropped and made anew repeats no id


class Store:
    """The messages of a namespace, each in exactly one state, and the ring of customers to be served."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._customers: dict[str, Customer] = {}
        self._policies: dict[str, CustomerPolicy] = {}
        self._ring = DeficitRoundRobin(1, self._weight)
        self._leased: dict[str, Entry] = {}
        self._lease_ends = Agenda()
        self._delays = Agenda()
        self._dead: dict[str, Entry] = {}
        self._deaths = count(1)
        self._dedup = Dedup()
        self._waiters = Waiters()
        self._last_ms = 0

    def _weight(self, name: str) -> int:
        policy = self._policies.get(name)
        return policy.weight if policy is not None and policy.weight is not None else 1

    def _is_paused(self, name: str) -> bool:
        policy = self._policies.get(name)
        return policy is not None and bool(policy.paused)

    # Into the store.

    def _store(self, message: Message, *, decodable: bool = True) -> Entry:
        now = self._clock()
        self._last_ms = max(self._last_ms, int(now * 1000))
        serial = next(_serials)
        entry_id = f"{self._last_ms}-{serial}-0"
        entry = Entry(serial, entry_id, copy_of(message), utc(now), decodable=decodable)
        self._append(entry)
        return entry

    def _append(self, entry: Entry) -> None:
        name = entry.message.customer
        customer = self._customers.get(name)
        if customer is None:
            customer = self._customers[name] = Customer()
        customer.append(entry)
        self._ring.join(name)

    # From one state to another. A leased entry's lease is ended first.

    def _lease(self, entry: Entry, receipt: str, until: float) -> None:
        entry.receipt = receipt
        self._leased[receipt] = entry
        self._lease_ends.plan(until, entry)

    def _end_lease(self, entry: Entry) -> None:
        del self._leased[entry.receipt]
        self._lease_ends.drop(entry)

    def _make_ready(self, entry: Entry) -> None:
        name = entry.message.customer
        self._customers[name].give_back(entry)
        self._ring.join(name)

    def _delay(self, entry: Entry, seconds: float) -> None:
        self._customers[entry.message.customer].move(entry, State.DELAYED)
        self._delays.plan(self._clock() + seconds, entry)

    def _bury(self, entry: Entry, reason: str) -> None:
        self._customers[entry.message.customer].move(entry, State.DEAD)
        entry.reason, entry.died_at, entry.death = reason, self._clock(), next(self._deaths)
        self._dead[entry.id] = entry

    def _redrive(self, entry: Entry) -> None:
        del self._dead[entry.id]
        entry.attempts, entry.reason = 0, ""
        self._append(entry)

    # Out of the store.

    def _remove(self, entry: Entry) -> None:
        name = entry.message.customer
        self._customers[name].remove(entry)
        self._drop_if_empty(name)

    def _remove_dead(self, entry: Entry) -> None:
        del self._dead[entry.id]
        self._remove(entry)

    def _drop_old_dead(self, settings: DispatcherSettings) -> None:
        horizon = self._clock() - settings.dead_letter_retention
        while self._dead:
            oldest = next(iter(self._dead.values()))
            if oldest.died_at > horizon:
                return
            self._remove_dead(oldest)

    def _drop_if_empty(self, name: str) -> None:
        if not self._customers[name].entries:
            del self._customers[name]

    def is_empty(self) -> bool:
        """Tell whether nothing is stored: no message in any state, no policy, no key to recognise."""
        self._dedup.forget_old(self._clock())
        return not (self._customers or self._policies or len(self._dedup))

    def residue(self) -> list[str]:
        """Name everything that is held; nothing when all is acked and the dedup window is over."""
        self._dedup.forget_old(self._clock())
        counts = {
            "customers": len(self._customers),
            "policies": len(self._policies),
            "leases": len(self._leased),
            "ends of leases": len(self._lease_ends),
            "ends of delays": len(self._delays),
            "dead letters": len(self._dead),
            "customers in the ring": len(self._ring),
            "dedup keys": len(self._dedup),
        }
        return [f"{amount} {kind}" for kind, amount in counts.items() if amount]
