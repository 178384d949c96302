"""The shared state of one namespace. Every method works in one step of the event loop, so it is atomic."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from broker_core.errors import DispatcherError
from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, DeadLetter, Delivery, Message, Page
from broker_core.settings import DispatcherSettings
from fair_memory.leases import Leases
from fair_memory.listing import page_of_customers, page_of_dead_letters
from fair_memory.receipts import make_receipt
from fair_memory.states import Entry, State, copy_of
from fair_memory.times import utc


class MemoryBroker(Leases):
    """One namespace: messages, leases, policies and the schedule, shared by all its dispatchers.

    clock: seconds since 1970. Settings come with each call, since dispatchers may differ in them.
    """

    # Publishing.

    def publish(
        self, messages: Sequence[Message], settings: DispatcherSettings
    ) -> list[str | DispatcherError]:
        """Store the messages and return their ids; a known (customer, Message.id) isn't stored again."""
        self._dedup.forget_old(self._clock())
        outcomes: list[str | DispatcherError] = [self._publish_one(message, settings) for message in messages]
        self._waiters.wake()
        return outcomes

    def _publish_one(self, message: Message, settings: DispatcherSettings) -> str:
        if message.id is None or settings.dedup_window == 0:
            return self._store(message).id
        key, now = (message.customer, message.id), self._clock()
        known = self._dedup.find(key, now)
        if known is not None:
            return known
        entry = self._store(message)
        self._dedup.remember(key, entry.id, now + settings.dedup_window)
        return entry.id

    def inject_garbage(self, customer: str, data: bytes) -> str:
        """Store an entry that can't be decoded behind the customer's messages; return its id."""
        entry = self._store(Message(customer, data), decodable=False)
        self._waiters.wake()
        return entry.id

    # Handing over.

    def receive(self, max_messages: int, settings: DispatcherSettings) -> list[Delivery]:
        """Lease what deficit round robin chooses, after everything whose time has come was made ready."""
        self.advance(settings)
        self._ring.quantum = settings.quantum
        lease_end = self._lease_end(settings.lease_seconds)
        lease_until = utc(lease_end)
        deliveries: list[Delivery] = []
        while len(deliveries) < max_messages:
            name = self._next_customer()
            if name is None:
                break
            entry = self._take(name)
            if entry.decodable:
                deliveries.append(self._hand_over(entry, lease_end, lease_until))
            else:
                self._bury(entry, "undecodable entry")
        if deliveries:
            self._waiters.wake(lease_end)
        return deliveries

    def _next_customer(self) -> str | None:
        return self._ring.next_customer(self._head_cost)

    def _head_cost(self, name: str) -> int | None:
        customer = self._customers.get(name)
        head = customer.head() if customer is not None else None
        if head is None or self._is_paused(name):
            return None
        return head.message.cost if head.decodable else 0

    def _take(self, name: str) -> Entry:
        customer = self._customers[name]
        entry = customer.take(State.LEASED)
        if entry.decodable:
            self._ring.charge(entry.message.cost)
        if customer.head() is None:
            self._ring.leave(name)
        return entry

    def _hand_over(self, entry: Entry, lease_end: float, lease_until: datetime) -> Delivery:
        entry.attempts += 1
        message = copy_of(entry.message)
        receipt = make_receipt(entry.id, message.customer)
        self._lease(entry, receipt, lease_end)
        return Delivery(message, entry.id, entry.attempts, entry.published_at, lease_until, receipt)

    async def changed(self, seconds: float) -> None:
        """Return when there may be something to receive, after `seconds` at the latest."""
        now = self._clock()
        seconds = min(seconds, max(0.0, min(self._lease_ends.next_time(), self._delays.next_time()) - now))
        if seconds > 0:
            await self._waiters.sleep(seconds, now + seconds)
        else:
            await asyncio.sleep(0)

    # Customers.

    def set_policy(self, name: str, policy: CustomerPolicy | None) -> None:
        """Replace the customer's policy; one that is no longer paused joins the ring at the tail."""
        if policy is None:
            self._policies.pop(name, None)
        else:
            self._policies[name] = policy
        customer = self._customers.get(name)
        if customer is not None and customer.head() is not None and not self._is_paused(name):
            self._ring.join(name)
            self._waiters.wake()

    def inspect(
        self, name: str | None, settings: DispatcherSettings
    ) -> tuple[Backlog, CustomerPolicy | None]:
        """Count messages by state, of a customer or of all, and tell the customer's policy."""
        self.advance(settings)
        if name is not None:
            customer = self._customers.get(name)
            return customer.backlog() if customer is not None else Backlog(), self._policies.get(name)
        backlogs = [customer.backlog() for customer in self._customers.values()]
        total = Backlog(
            ready=sum(backlog.ready for backlog in backlogs),
            leased=sum(backlog.leased for backlog in backlogs),
            delayed=sum(backlog.delayed for backlog in backlogs),
            dead=sum(backlog.dead for backlog in backlogs),
        )
        return total, None

    def purge(self, name: str) -> int:
        """Remove what is ready, leased or delayed of the customer; return how many."""
        customer = self._customers.get(name)
        if customer is None:
            return 0
        removed = customer.clear_ready()
        for entry in list(customer.entries.values()):
            if entry.state is State.DEAD:
                continue
            if entry.state is State.LEASED:
                self._end_lease(entry)
            self._delays.drop(entry)
            customer.remove(entry)
            removed += 1
        self._ring.forfeit(name)
        self._drop_if_empty(name)
        return removed

    def customers(
        self, limit: int, cursor: str | None, settings: DispatcherSettings
    ) -> Page[CustomerBacklog]:
        """List customers with a message in any state or a policy, by name."""
        self._drop_old_dead(settings)
        return page_of_customers(self._customers, self._policies, limit, cursor)

    # Dead letters.

    def dead_letters(
        self, name: str | None, limit: int, cursor: str | None, settings: DispatcherSettings
    ) -> Page[DeadLetter]:
        """List dead letters of a customer or of all, the oldest death first."""
        self._drop_old_dead(settings)
        return page_of_dead_letters(self._dead_of(name), limit, cursor)

    def _dead_of(self, name: str | None) -> list[Entry]:
        return [entry for entry in self._dead.values() if name is None or entry.message.customer == name]

    def end_dead_letters(
        self, name: str, ids: Sequence[str] | None, settings: DispatcherSettings, *, redrive: bool
    ) -> int:
        """Redrive or remove dead letters of the customer, all of them if ids is None; return how many."""
        self._drop_old_dead(settings)
        wanted = None if ids is None else set(ids)
        chosen = [entry for entry in self._dead_of(name) if wanted is None or entry.id in wanted]
        for entry in chosen:
            if redrive:
                self._redrive(entry)
            else:
                self._remove_dead(entry)
        self._waiters.wake()
        return len(chosen)
