"""The whole state as bytes and back: a restored ledger goes on exactly as the one that was exported."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from fair_kafka.ledger import commands as c
from fair_kafka.ledger import snapshot_pb2 as pb
from fair_kafka.ledger.customers import Customer
from fair_kafka.ledger.outcomes import JanitorIs
from fair_kafka.ledger.places import Partition, Places
from fair_kafka.ledger.sessions import Session
from fair_kafka.ledger.snapshot_entries import export_entries, restore_entries
from fair_kafka.ledger.state import Ledger
from fair_kafka.ledger.values import decode_open, decode_policy, encode_open, encode_policy, split_keys

FORMAT = 1


class UnusableSnapshot(Exception):
    """These bytes are no snapshot that this version understands."""


def export_snapshot(ledger: Ledger) -> bytes:
    """Return the state as bytes; equal states give equal bytes."""
    ring, visiting = ledger.ring.export_state()
    sessions, last_retention_ms = ledger.sessions.export_state()
    snapshot = pb.Snapshot(
        format=FORMAT,
        applied_offset=ledger.applied_offset + 1,
        now_ms=ledger.now_ms,
        janitor_session=ledger.janitor.session,
        janitor_until_ms=ledger.janitor.until_ms,
        deaths=ledger.dead.deaths,
        ring=[customer for customer, _ in ring],
        deficits=[deficit for _, deficit in ring],
        visiting=visiting,
        last_retention_ms=last_retention_ms,
        sessions=[_export_session(number, session) for number, session in sessions],
        policies=[
            pb.PolicyState(customer=name, policy=encode_policy(policy))
            for name, policy in sorted(ledger.policies.items())
        ],
        known=[
            pb.Known(until_ms=until_ms, keys=b"".join(keys), serials=serials)
            for until_ms, keys, serials in ledger.dedup.export_state()
        ],
        places=_export_places(ledger.places),
    )
    for receive, deadline_ms in ledger.waiters:
        waiter = snapshot.waiters.add(
            session=receive.session, sequence=receive.sequence, deadline_ms=deadline_ms
        )
        waiter.receive.max_messages, waiter.receive.lease_ms = receive.max_messages, receive.lease_ms
        waiter.receive.wait_ms = receive.wait_ms
    customers = sorted(ledger.customers.values(), key=lambda customer: customer.name)
    for customer in customers:
        rows, taken = customer.fresh.export_state()
        snapshot.customers.add(name=customer.name, fresh=rows, taken=taken)
    logs = sorted(ledger.logs, key=lambda log: (log.topic, log.partition))
    for log in logs:
        snapshot.logs.add(topic=log.topic, partition=log.partition, end=log.end, released=log.released)
    export_entries(ledger, customers, logs, snapshot.entries)
    return snapshot.SerializeToString(deterministic=True)


def restore_snapshot(data: bytes, listener: int | None = None) -> Ledger:
    """Return a ledger in the state of the one that was exported, which answers to `listener`.

    Raises UnusableSnapshot.
    """
    try:
        snapshot = pb.Snapshot.FromString(data)
    except DecodeError as error:
        raise UnusableSnapshot(str(error)) from error
    if snapshot.format != FORMAT:
        raise UnusableSnapshot(f"format {snapshot.format}; this version knows {FORMAT}")
    ledger = Ledger(listener)
    ledger.applied_offset = snapshot.applied_offset - 1
    ledger.now_ms = snapshot.now_ms
    ledger.janitor = JanitorIs(snapshot.janitor_session, snapshot.janitor_until_ms)
    for item in snapshot.policies:
        ledger.set_policy(item.customer, decode_policy(item.policy))
    sessions = [_restore_session(state) for state in snapshot.sessions]
    ledger.sessions.restore_state(sessions, snapshot.last_retention_ms)
    for waiter in snapshot.waiters:
        limits = waiter.receive
        receive = c.Receive(
            waiter.session, waiter.sequence, limits.max_messages, limits.lease_ms, limits.wait_ms
        )
        ledger.waiters.add(receive, waiter.deadline_ms)
    for known in snapshot.known:
        ledger.dedup.restore(known.until_ms, split_keys(known.keys), known.serials)
    _restore_places(ledger.places, snapshot.places)
    _restore_messages(ledger, snapshot)
    ledger.ring.restore_state(zip(snapshot.ring, snapshot.deficits, strict=True), snapshot.visiting)
    return ledger


def _restore_messages(ledger: Ledger, snapshot: pb.Snapshot) -> None:
    logs = [ledger.logs.of(state.topic, state.partition) for state in snapshot.logs]
    for log, state in zip(logs, snapshot.logs, strict=True):
        log.end, log.released = state.end, state.released
    customers = []
    for held in snapshot.customers:
        customer = ledger.customers[held.name] = Customer(held.name)
        customer.fresh.restore_state(held.fresh, held.taken)
        customers.append(customer)
    ledger.dead.deaths = snapshot.deaths
    restore_entries(ledger, customers, logs, snapshot.entries)


def _export_session(number: int, session: Session) -> pb.SessionState:
    return pb.SessionState(
        session=number,
        settings=encode_open(session.settings),
        floor=session.floor,
        beyond=sorted(session.beyond),
        last_seen_ms=session.last_seen_ms,
    )


def _restore_session(state: pb.SessionState) -> Session:
    session = Session(decode_open(state.session, 1, state.settings))
    session.floor, session.beyond = state.floor, set(state.beyond)
    session.last_seen_ms = state.last_seen_ms
    return session


def _export_places(places: Places) -> pb.PlacesState:
    by_customer = sorted(places.by_customer.items())
    return pb.PlacesState(
        hashed=places.hashed,
        most=places.most,
        step=places.step,
        wanted=places.wanted,
        partitions=[
            pb.PartitionState(
                epoch=partition.epoch,
                owners=sorted(partition.owners),
                live=[partition.owners[owner] for owner in sorted(partition.owners)],
            )
            for partition in places.partitions
        ],
        customers=[customer for customer, _ in by_customer],
        numbers=[number for _, number in by_customer],
        free=places.free,
        reserved=places.reserved,
        reserved_until_ms=places.reserved.values(),
    )


def _restore_places(places: Places, state: pb.PlacesState) -> None:
    places.hashed, places.most, places.step = state.hashed, state.most, state.step
    places.wanted = state.wanted
    for exported in state.partitions:
        partition = Partition(exported.epoch)
        partition.owners.update(zip(exported.owners, exported.live, strict=True))
        places.partitions.append(partition)
    places.by_customer.update(zip(state.customers, state.numbers, strict=True))
    places.free.update(dict.fromkeys(state.free))
    places.reserved.update(zip(state.reserved, state.reserved_until_ms, strict=True))
