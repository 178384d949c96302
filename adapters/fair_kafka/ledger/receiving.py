"""Messages are handed over: at once, or when something becomes ready for a receive that waits."""

from __future__ import annotations

from fair_kafka.ledger.commands import Receive, Ref
from fair_kafka.ledger.entries import Entry, Lease
from fair_kafka.ledger.outcomes import HandedOver, Received
from fair_kafka.ledger.receipts import INDEX_BITS, INDEX_MASK, receipt_prefix
from fair_kafka.ledger.sessions import Session
from fair_kafka.ledger.store import Store


class Receiver:
    """Leases what deficit round robin chooses."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, command: Receive, session: Session) -> list[Entry]:
        """Lease up to max_messages."""
        store = self._store
        ring = store.ring
        ring.quantum = session.settings.quantum
        lease = Lease(command.session, command.sequence, session.settings.max_attempts)
        until_ms = store.now_ms + command.lease_ms
        taken: list[Entry] = []
        while (left := command.max_messages - len(taken)) > 0:
            visit = ring.next_visit(store.head_cost)
            if visit is None:
                break
            name, budget = visit
            entries, cost = store.hand_over(name, lease, until_ms, left, budget)
            ring.charge(cost)
            customer = entries[0].customer
            if not customer.returned and not customer.fresh:
                ring.leave(name)
            taken += entries
        return taken

    def begin_wait(self, command: Receive) -> None:
        """Let a receive wait that got nothing."""
        self._store.waiters.add(command, self._store.now_ms + command.wait_ms)

    def serve_next_waiter(self) -> tuple[Receive, list[Entry]] | None:
        """Lease messages to the receive that waits for the longest time, None if nothing is ready."""
        store = self._store
        waiter = store.waiters.first()
        session = store.sessions.get(waiter.receive.session)
        taken = self.take(waiter.receive, session) if session is not None else []
        if not taken:
            return None
        store.waiters.remove(waiter.receive.session, waiter.receive.sequence)
        return waiter.receive, taken


def received(command: Receive, taken: list[Entry], until_ms: int) -> Received:
    """Tell what was leased."""
    prefix = receipt_prefix(command.session, command.sequence)
    # The constructors of named tuples are functions; this is what they call.
    new = tuple.__new__
    messages: list[HandedOver] = []
    for entry in taken:
        serial, log = entry.serial, entry.log
        message_id = f"{serial >> INDEX_BITS}-{serial & INDEX_MASK}"  # = id_of(serial)
        fields = (
            entry.customer.name,
            serial,
            message_id,
            entry.attempts,
            entry.cost,
            entry.published_ms,
            new(Ref, (log.topic, log.partition, entry.offset)),
            prefix + message_id,
        )
        messages.append(new(HandedOver, fields))
    return Received(until_ms, tuple(messages))
