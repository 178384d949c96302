"""What the journal amounts to so far: who leases what, which customers there are, counts."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain

from broker_core.model import CustomerPolicy
from fair_rabbitmq.journal import events as e
from fair_rabbitmq.journal.dead_index import DeadIndex
from fair_rabbitmq.journal.generations import Generations, KnownCustomer
from fair_rabbitmq.journal.messages import Known, Messages, State
from fair_rabbitmq.journal.writers import Writers

__all__ = ["Counts", "KnownCustomer", "Replica", "State"]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many messages are leased, delayed and dead."""

    leased: int = 0
    delayed: int = 0
    dead: int = 0


class Replica:
    """Applies records in the journal's order; the same records give the same replica.

    What is kept grows with what is leased, delayed, dead or was handed over and is ready again. Of the
    last kind at most `max_ready` are kept, each for `ready_ms` of the journal's time; then their
    attempts start anew.
    """

    def __init__(self, max_ready: int = 1_000_000, ready_ms: int = 7 * 86_400_000) -> None:
        self.messages = Messages(max_ready, ready_ms)
        self.dead = DeadIndex()
        self.generations = Generations()
        self.writers = Writers()
        self._policies: dict[str, CustomerPolicy] = {}
        self.time = 0  # the journal's: the latest that a record was written at

    # Queries.

    def customer(self, name: str) -> KnownCustomer | None:
        """Tell the customer's generations; None if it has no queue."""
        return self.generations.get(name)

    def customers(self) -> list[KnownCustomer]:
        """Tell all customers that have a queue."""
        return list(self.generations)

    def policy(self, name: str) -> CustomerPolicy | None:
        """Tell the customer's policy."""
        return self._policies.get(name)

    def policies(self) -> dict[str, CustomerPolicy]:
        """Tell all policies."""
        return dict(self._policies)

    def state(self, message_id: str) -> State:
        """Tell where a message is."""
        known = self.messages.get(message_id)
        if known is not None:
            return known.state
        return State.UNKNOWN if self.dead.get(message_id) is None else State.DEAD

    def attempts(self, message_id: str) -> int:
        """Tell how often the message was handed over so far, the current lease included; 0 if unknown."""
        known = self.messages.get(message_id)
        return 0 if known is None else known.attempts

    def lease_owner(self, message_id: str) -> str | None:
        """Tell the dispatcher that leases the message, or None."""
        known = self.messages.get(message_id)
        return known.owner if known is not None and known.state is State.LEASED else None

    def is_buried(self, message_id: str) -> bool:
        """Tell whether a copy of this message in a queue is a left-over, to be acked and not handed over.

        It died, the copy wasn't acked because its consumer crashed, and nobody is redriving it. The
        replica must be as new as the copy: ask again after a barrier before acking.
        """
        dead = self.dead.get(message_id)
        return dead is not None and dead.reviving is None

    def is_delayed(self, message_id: str, due: int) -> bool:
        """Tell whether this is the message's present delay."""
        known = self.messages.get(message_id)
        return known is not None and known.state is State.DELAYED and known.at == due

    def counts(self, customer: str | None) -> Counts:
        """Count the messages of a customer, or of all."""
        if customer is None:
            total = self.messages.total
            return Counts(total.leased, total.delayed, len(self.dead))
        tally = self.messages.tally(customer)
        return Counts(tally.leased, tally.delayed, self.dead.count(customer))

    def names_after(self, name: str, limit: int) -> list[str]:
        """List customers behind a name that have a queue, a policy or a message that is known; sorted."""
        names = {
            one
            for one in chain(
                self.generations.names(), self._policies, self.messages.customers(), self.dead.customers()
            )
            if one > name
        }
        return heapq.nsmallest(limit, names)

    # Changes.

    def apply(self, record: e.Record) -> bool:
        """Take a record in; False, and nothing changes, if it repeats one."""
        if not self.writers.accept(record):
            return False
        self.time = max(self.time, record.written_at)
        for event in record.events:
            handler = _HANDLERS.get(type(event))
            if handler is not None:
                handler(self, event, record.dispatcher)
        self.messages.forget_old(self.time)
        return True

    def drop_dead_before(self, died_before: int) -> int:
        """Forget dead letters that are older than the retention; return how many."""
        old: list[str] = []
        for dead in self.dead.after(0):
            if dead.died_at >= died_before:
                break
            if dead.reviving is None:
                old.append(dead.id)
        for message_id in old:
            self.dead.remove(message_id)
        return len(old)

    def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:
        """Note a policy."""
        if policy is None:
            self._policies.pop(customer, None)
        else:
            self._policies[customer] = policy

    def purge(self, customer: str) -> None:
        """Void leases, forget delays and attempts."""
        for message_id in self.messages.of_customer(customer):
            known = self.messages.get(message_id)
            if known is not None and known.state in (State.LEASED, State.VOID):
                self.messages.put(message_id, replace(known, state=State.VOID))
            else:
                self.messages.forget(message_id)

    def remove_customer(self, customer: str, generation: int) -> None:
        """Forget queues, and attempts of what was in them when there is no newer one."""
        if not self.generations.remove(customer, generation):
            return
        for message_id in self.messages.of_customer(customer):
            if self.state(message_id) is State.READY:
                self.messages.forget(message_id)

    def hand_over(self, leases: Iterable[e.Lease], writer: str) -> None:
        """Note leases, each with an attempt more."""
        for lease in leases:
            known = self.messages.get(lease.id)
            attempts = 0 if known is None or known.state is State.VOID else known.attempts
            if self.dead.get(lease.id) is not None:
                self.dead.remove(lease.id)
            self.messages.put(
                lease.id, Known(lease.customer, State.LEASED, attempts + 1, writer, lease.until)
            )

    def extend(self, leases: Iterable[e.Lease], writer: str) -> None:
        """Note later ends of leases that are the writer's or nobody's."""
        for lease in leases:
            known = self._held(lease.id, writer)
            if known is not None and known.state is not State.VOID:
                self.messages.put(lease.id, replace(known, state=State.LEASED, owner=writer, at=lease.until))

    def end(self, ids: Iterable[str], writer: str) -> None:
        """Forget messages that were processed."""
        for message_id in ids:
            if self._held(message_id, writer) is not None:
                self.messages.forget(message_id)

    def give_back(self, ids: Iterable[str], writer: str, *, uncounted: int) -> None:
        """Note that messages are ready again, with so many attempts less."""
        for message_id in ids:
            known = self._held(message_id, writer)
            if known is None:
                continue
            if known.state is State.VOID:
                self.messages.forget(message_id)
            else:
                self.messages.make_ready(message_id, self.time, known.attempts - uncounted)

    def delay(self, delays: Iterable[e.Delay], writer: str) -> None:
        """Note that messages wait for a time."""
        for delay in delays:
            if not self._may_leave(delay.id, writer):
                continue
            known = self.messages.get(delay.id)
            attempts = 0 if known is None else known.attempts
            self.messages.put(delay.id, Known(delay.customer, State.DELAYED, attempts, writer, delay.due))

    def come_due(self, delays: Iterable[tuple[str, int]]) -> None:
        """Note that messages have waited for long enough."""
        for message_id, due in delays:
            if self.is_delayed(message_id, due):
                self.messages.make_ready(message_id, self.time)

    def bury(self, deaths: Iterable[e.Death], writer: str) -> None:
        """Note dead letters."""
        for death in deaths:
            if not self._may_leave(death.id, writer):
                continue
            self.messages.forget(death.id)
            self.dead.add(death.id, death.customer, death.place, death.died_at)

    def claim(self, deaths: Iterable[tuple[str, int]], writer: str) -> None:
        """Note who is redriving dead letters that nobody else is redriving."""
        for message_id, place in deaths:
            dead = self.dead.get(message_id)
            if dead is not None and dead.place == place and dead.reviving is None:
                self.dead.claim(dead, writer)

    def unclaim(self, deaths: Iterable[tuple[str, int]], writer: str) -> None:
        """Note that the writer isn't redriving these any more."""
        for message_id, place in deaths:
            dead = self.dead.get(message_id)
            if dead is not None and dead.place == place and dead.reviving == writer:
                self.dead.claim(dead, None)

    def remove_dead(self, deaths: Iterable[tuple[str, int]], reviving: str | None) -> None:
        """Forget dead letters, if this is who is redriving them."""
        for message_id, place in deaths:
            dead = self.dead.get(message_id)
            if dead is not None and dead.place == place and dead.reviving == reviving:
                self.dead.remove(message_id)

    def lose(self, dispatcher: str) -> None:
        """End all leases and claims of a dispatcher."""
        self.writers.lose(dispatcher)
        for message_id in self.messages.of_owner(dispatcher):
            known = self.messages.get(message_id)
            if known is None or known.state is State.VOID:
                self.messages.forget(message_id)
            elif known.state is State.DELAYED:
                self.messages.put(message_id, replace(known, owner=""))
            else:
                self.messages.make_ready(message_id, self.time)
        for dead in [dead for dead in self.dead if dead.reviving == dispatcher]:
            self.dead.claim(dead, None)

    def _held(self, message_id: str, writer: str) -> Known | None:
        """Find a message that is the writer's, or nobody's since the writer was thought to be gone.

        What it has delayed is its until it is due: storing the copy may have failed.
        """
        known = self.messages.get(message_id)
        if known is None or known.owner not in ("", writer):
            return None
        return None if known.state is State.DELAYED and known.owner != writer else known

    def _may_leave(self, message_id: str, writer: str) -> bool:
        """Tell whether the writer may delay or bury a message; a purged one is forgotten instead."""
        known = self.messages.get(message_id)
        if known is None:
            return self.dead.get(message_id) is None
        if self._held(message_id, writer) is None:
            return False
        if known.state is State.VOID:
            self.messages.forget(message_id)
            return False
        return True


# The value is called with an event of the key's type; that can't be said in types.
_HANDLERS: dict[type, Callable[..., None]] = {
    e.CustomerSeen: lambda r, event, _: r.generations.see(event.customer, event.generation),
    e.CustomerRetired: lambda r, event, _: r.generations.retire(event.customer, event.generation),
    e.CustomerRemoved: lambda r, event, _: r.remove_customer(event.customer, event.generation),
    e.PolicySet: lambda r, event, _: r.set_policy(event.customer, event.policy),
    e.Purged: lambda r, event, _: r.purge(event.customer),
    e.HandedOver: lambda r, event, writer: r.hand_over(event.leases, writer),
    e.Extended: lambda r, event, writer: r.extend(event.leases, writer),
    e.Ended: lambda r, event, writer: r.end(event.ids, writer),
    e.Released: lambda r, event, writer: r.give_back(event.ids, writer, uncounted=1),
    e.Returned: lambda r, event, writer: r.give_back(event.ids, writer, uncounted=0),
    e.Delayed: lambda r, event, writer: r.delay(event.delays, writer),
    e.Due: lambda r, event, _: r.come_due(event.delays),
    e.Died: lambda r, event, writer: r.bury(event.deaths, writer),
    e.Reviving: lambda r, event, writer: r.claim(event.deaths, writer),
    e.RevivingFailed: lambda r, event, writer: r.unclaim(event.deaths, writer),
    e.Revived: lambda r, event, writer: r.remove_dead(event.deaths, writer),
    e.DeadRemoved: lambda r, event, _: r.remove_dead(event.deaths, None),
    e.Gone: lambda r, event, _: r.lose(event.dispatcher),
}
