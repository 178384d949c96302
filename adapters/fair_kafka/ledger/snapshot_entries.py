"""Messages that were handed over, in a snapshot."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fair_kafka.ledger import snapshot_pb2 as pb
from fair_kafka.ledger.customers import Customer
from fair_kafka.ledger.entries import Death, Entry, Lease, State
from fair_kafka.ledger.logs import PartitionLog
from fair_kafka.ledger.store import Store


def export_entries(
    store: Store, customers: Sequence[Customer], logs: Sequence[PartitionLog], into: pb.Entries
) -> None:
    """Append all entries, by their serials; customers and logs are named by their places in these lists."""
    customer_at = {customer: place for place, customer in enumerate(customers)}
    log_at = {log: place for place, log in enumerate(logs)}
    entries = [store.entries[serial] for serial in sorted(store.entries)]
    into.serials.extend([entry.serial for entry in entries])
    into.customers.extend([customer_at[entry.customer] for entry in entries])
    into.logs.extend([log_at[entry.log] for entry in entries])
    into.offsets.extend([entry.offset for entry in entries])
    into.costs.extend([entry.cost for entry in entries])
    into.published_ms.extend([entry.published_ms for entry in entries])
    into.attempts.extend([entry.attempts for entry in entries])
    into.states.extend([entry.state for entry in entries])
    timed = (State.LEASED, State.DELAYED)
    into.due_ms.extend([entry.due_ms for entry in entries if entry.state in timed])
    for death in [entry.death for entry in entries if entry.death is not None]:
        into.reasons.append(death.reason)
        into.died_ms.append(death.died_ms)
        into.numbers.append(death.number)
    _export_leases([entry.lease for entry in entries if entry.lease is not None], into)


def _export_leases(leases: Sequence[Lease], into: pb.Entries) -> None:
    lease_at: dict[int, int] = {}
    for lease in leases:
        place = lease_at.setdefault(id(lease), len(lease_at))
        if place == len(into.leases):
            into.leases.add(session=lease.session, sequence=lease.sequence, max_attempts=lease.max_attempts)
        into.leases_of.append(place)


def restore_entries(
    store: Store, customers: Sequence[Customer], logs: Sequence[PartitionLog], exported: pb.Entries
) -> None:
    """Hold the exported entries, and count all messages anew, those too that were never handed over."""
    leases = [Lease(lease.session, lease.sequence, lease.max_attempts) for lease in exported.leases]
    leases_of, due_ms = iter(exported.leases_of), iter(exported.due_ms)
    deaths = iter(
        [
            Death(sys.intern(reason), died_ms, number)
            for reason, died_ms, number in zip(
                exported.reasons, exported.died_ms, exported.numbers, strict=True
            )
        ]
    )
    dead: list[Entry] = []
    waiting = _count_fresh(store, customers)
    columns = (exported.serials, exported.customers, exported.logs, exported.offsets, exported.costs)
    for serial, customer_at, log_at, offset, cost, published_ms, attempts, state in zip(
        *columns, exported.published_ms, exported.attempts, exported.states, strict=True
    ):
        customer, log = customers[customer_at], logs[log_at]
        entry = Entry(serial, customer, log, offset, cost, published_ms, attempts, State(state))
        store.entries[serial] = entry
        customer.counts[state] += 1
        log.add(offset, 1)
        match entry.state:
            case State.LEASED:
                entry.lease = leases[next(leases_of)]
                store.leases.plan(next(due_ms), entry)
            case State.DELAYED:
                store.delays.plan(next(due_ms), entry)
            case State.DEAD:
                entry.death = next(deaths)
                dead.append(entry)
            case State.READY:
                store.ready += 1
                if serial not in waiting:
                    customer.returned.append(serial)  # in order, so it is a heap
    for entry in sorted(dead, key=lambda entry: entry.death.number if entry.death else 0):
        store.dead.restore(entry)


def _count_fresh(store: Store, customers: Sequence[Customer]) -> set[int]:
    """Count the runs; return the serials of the entries that wait among them."""
    entries: set[int] = set()
    for customer in customers:
        for run in customer.fresh:
            if not run.size:
                entries.add(run.serial)
                continue
            customer.counts[State.READY] += run.size
            store.ready += run.size
            store.logs.of_messages(run.partition).add(run.offset, run.size)
    return entries
