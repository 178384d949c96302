"""What a namespace holds, and the moves of a message from one state to another."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from broker_core.model import CustomerPolicy
from fair_kafka.ledger.agenda import Agenda
from fair_kafka.ledger.commands import Topic
from fair_kafka.ledger.customers import Customer
from fair_kafka.ledger.dead import DeadLetters
from fair_kafka.ledger.dedup import Dedup
from fair_kafka.ledger.entries import Entry, Lease, State
from fair_kafka.ledger.logs import Logs, PartitionLog
from fair_kafka.ledger.places import Places
from fair_kafka.ledger.ring import Ring
from fair_kafka.ledger.sessions import Sessions
from fair_kafka.ledger.waiters import Waiters

# As plain numbers, which are quicker where each message passes.
EMPTY = [0, 0, 0, 0]
MESSAGES, READY, LEASED = int(Topic.MESSAGES), int(State.READY), int(State.LEASED)


class Store:
    """The messages of a namespace, each in exactly one state, and the ring of customers to be served.

    now_ms: the time of the last record, which never goes back. entries: messages by serial, but those
    that were never handed over. ready: messages that are ready, of all customers.
    """

    def __init__(self) -> None:
        self.now_ms = 0
        self.customers: dict[str, Customer] = {}
        self.policies: dict[str, CustomerPolicy] = {}
        self.paused: set[str] = set()
        self.ring = Ring(1, self._weight)
        self.entries: dict[int, Entry] = {}
        self.ready = 0
        self.leases = Agenda()
        self.delays = Agenda()
        self.dead = DeadLetters()
        self.dedup = Dedup()
        self.logs = Logs()
        self.places = Places()
        self.sessions = Sessions()
        self.waiters = Waiters()

    def _weight(self, name: str) -> int:
        policy = self.policies.get(name)
        return policy.weight if policy is not None and policy.weight is not None else 1

    def set_policy(self, name: str, policy: CustomerPolicy | None) -> None:
        """Replace the customer's policy; one that is no longer paused joins the ring at the tail."""
        self.paused.discard(name)
        if policy is None:
            self.policies.pop(name, None)
        else:
            self.policies[name] = policy
            if policy.paused:
                self.paused.add(name)
        customer = self.customers.get(name)
        if customer is not None and customer.counts[State.READY] and name not in self.paused:
            self.ring.join(name)

    # Into the store.

    def store_run(self, name: str, serial: int, log: PartitionLog, offset: int, size: int, cost: int) -> None:
        """Make new messages ready, whose records lie one behind the other."""
        customer = self.customers.get(name)
        if customer is None:
            customer = self.customers[name] = Customer(name)
        customer.fresh.push(serial, offset, self.now_ms, log.partition, size, cost)
        customer.counts[READY] += size
        self.ready += size
        log.add(offset, size)
        self.places.arrived(name, log.partition, size)
        self.ring.join(name)

    # From one state to another.

    def head_cost(self, name: str) -> int | None:
        """Return the cost of the customer's next message, None if it may not be served now."""
        customer = self.customers.get(name)
        if customer is None or name in self.paused:
            return None
        if customer.returned:
            return self.entries[customer.returned[0]].cost
        return customer.fresh.head_cost() if customer.fresh else None

    def hand_over(
        self, name: str, lease: Lease, until_ms: int, most: int, budget: int
    ) -> tuple[list[Entry], int]:
        """Lease the customer's next messages, up to `most` that cost up to `budget` together.

        Returns them and their cost. There has to be one, and the budget has to suffice for it.
        """
        customer = self.customers[name]
        taken: list[Entry] = []
        left = budget
        while customer.returned and len(taken) < most and left > 0:
            entry = self.entries[customer.returned[0]]
            if entry.cost > left:
                break
            heapq.heappop(customer.returned)
            left -= self._lease_again(entry, lease, until_ms)
            taken.append(entry)
        if not customer.returned:
            left = self._take_fresh(customer, lease, until_ms, most, left, taken)
        self.leases.plan_new(until_ms, taken)
        count = len(taken)
        customer.counts[READY] -= count
        customer.counts[LEASED] += count
        self.ready -= count
        return taken, budget - left

    def _lease_again(self, entry: Entry, lease: Lease, until_ms: int) -> int:
        entry.attempts += 1
        entry.state = State.LEASED
        entry.lease = lease
        entry.due_ms = until_ms
        return entry.cost

    def _take_fresh(
        self, customer: Customer, lease: Lease, until_ms: int, most: int, left: int, taken: list[Entry]
    ) -> int:
        entries, fresh, leased = self.entries, customer.fresh, State.LEASED
        while len(taken) < most and left > 0 and fresh:
            run = fresh.pop(most - len(taken), left)
            if run is None:
                break
            serial, offset, published_ms, partition, size, cost = run
            if not size:
                entry = entries[serial]
                left -= self._lease_again(entry, lease, until_ms)
                taken.append(entry)
                continue
            log = self.logs.of_messages(partition)
            for number in range(size):
                entry = Entry(
                    serial + number,
                    customer,
                    log,
                    offset + number,
                    cost,
                    published_ms,
                    1,
                    leased,
                    until_ms,
                    lease,
                )
                entries[serial + number] = entry
                taken.append(entry)
            left -= size * cost
        return left

    def end_lease(self, entry: Entry) -> None:
        """Make the receipt void; the caller moves the entry on."""
        self.leases.drop(entry)
        entry.lease = None

    def make_ready(self, entry: Entry) -> None:
        """Make an entry ready again that is neither ready nor dead."""
        entry.customer.give_back(entry)
        self.ready += 1
        self.ring.join(entry.customer.name)

    def delay(self, entry: Entry, delay_ms: int) -> None:
        """Make an entry ready again later."""
        entry.customer.move(entry, State.DELAYED)
        self.delays.plan(self.now_ms + delay_ms, entry)

    def bury(self, entry: Entry, reason: str) -> None:
        """Make a dead letter of an entry."""
        entry.customer.move(entry, State.DEAD)
        self.dead.add(entry, reason, self.now_ms)

    def redrive(self, entry: Entry) -> None:
        """Make a dead letter ready at the tail, as if it had never been handed over."""
        self.dead.remove(entry)
        entry.attempts = 0
        entry.customer.append(entry)
        self.ready += 1
        self.ring.join(entry.customer.name)

    # Out of the store.

    def remove(self, entry: Entry) -> None:
        """Forget an entry that isn't ready and whose lease or delay was ended."""
        customer = entry.customer
        counts = customer.counts
        counts[entry.state] -= 1
        self.forget(entry)
        if counts == EMPTY:
            del self.customers[customer.name]

    def forget_leased(self, acked: Sequence[Entry]) -> None:
        """Forget leased entries whose leases were ended and that are not in `entries` any more."""
        at, end = 0, len(acked)
        while at < end:
            # Neighbours of one customer in one partition, of which a visit makes many, are one step.
            customer, log = acked[at].customer, acked[at].log
            offsets: list[int] = []
            while at < end and (entry := acked[at]).customer is customer and entry.log is log:
                offsets.append(entry.offset)
                at += 1
            log.remove_all(offsets)
            if log.topic == MESSAGES:
                self.places.left(customer.name, log.partition, len(offsets))
            customer.counts[LEASED] -= len(offsets)
            if customer.counts == EMPTY:
                del self.customers[customer.name]

    def remove_dead(self, entry: Entry) -> None:
        """Forget a dead letter."""
        self.dead.remove(entry)
        self.remove(entry)

    def forget(self, entry: Entry) -> None:
        """Forget an entry that is counted nowhere any more."""
        del self.entries[entry.serial]
        self._leave(entry)

    def _leave(self, entry: Entry) -> None:
        log = entry.log
        log.remove_one(entry.offset)
        if log.topic == MESSAGES:
            self.places.left(entry.customer.name, log.partition, 1)

    def drop_if_empty(self, customer: Customer) -> None:
        """Forget a customer without messages."""
        if customer.is_empty():
            del self.customers[customer.name]

    def drop_old_dead(self) -> None:
        """Forget dead letters that were kept for long enough."""
        horizon = self.now_ms - self.sessions.dead_letter_retention_ms
        while (entry := self.dead.oldest()) is not None and entry.death is not None:
            if entry.death.died_ms > horizon:
                return
            self.remove_dead(entry)

    def purge(self, customer: Customer) -> int:
        """Remove what is ready, leased or delayed of the customer; return how many."""
        counts = customer.counts
        count = counts[State.READY] + counts[State.LEASED] + counts[State.DELAYED]
        self.ready -= counts[State.READY]
        for run in customer.fresh:
            if run.size:
                self.logs.of_messages(run.partition).remove(run.offset, run.size)
                self.places.left(customer.name, run.partition, run.size)
        customer.fresh.clear()
        customer.returned.clear()
        for entry in [entry for entry in self.entries.values() if entry.customer is customer]:
            if entry.state is State.DEAD:
                continue
            if entry.state is State.LEASED:
                self.end_lease(entry)
            elif entry.state is State.DELAYED:
                self.delays.drop(entry)
            self.forget(entry)
        customer.counts = [0, 0, 0, counts[State.DEAD]]
        self.ring.forfeit(customer.name)
        self.drop_if_empty(customer)
        return count

    def relocate(self, entry: Entry, topic: int, partition: int, offset: int) -> None:
        """Note that the entry's payload lies elsewhere now."""
        self._leave(entry)
        entry.log, entry.offset = self.logs.of(topic, partition), offset
        entry.log.add(offset, 1)
        if topic == Topic.MESSAGES:
            self.places.arrived(entry.customer.name, partition, 1)
        if entry.state is State.DEAD:
            self.dead.note_place(entry)
