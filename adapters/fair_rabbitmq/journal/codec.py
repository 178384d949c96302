"""Records of the journal as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from google.protobuf.message import DecodeError

from broker_core.model import CustomerPolicy
from fair_rabbitmq.journal import events as e
from fair_rabbitmq.journal import journal_pb2 as pb


class UndecodableRecord(Exception):
    """These bytes are no record of a journal."""


def encode(record: e.Record, events: Sequence[pb.Event] | None = None) -> bytes:
    """Encode a record, with events that were encoded before if they are given."""
    return pb.Record(
        dispatcher=record.dispatcher,
        number=record.number,
        written_at=record.written_at,
        snapshot=record.snapshot,
        events=[encode_event(event) for event in record.events] if events is None else events,
    ).SerializeToString()


def decode(data: bytes) -> e.Record:
    """Rebuild the record; events that a later release may write are left out.

    Raises UndecodableRecord, never anything else, for bytes that `encode` can't have made.
    """
    try:
        record = pb.Record.FromString(data)
    except DecodeError as error:
        raise UndecodableRecord(str(error)) from error
    if not record.dispatcher:
        raise UndecodableRecord("it names no dispatcher")
    try:
        events = tuple(event for found in record.events if (event := _decode_event(found)) is not None)
    except ValueError as error:  # columns of unequal length
        raise UndecodableRecord(str(error)) from error
    snapshot = record.snapshot if record.HasField("snapshot") else None
    return e.Record(record.dispatcher, record.number, record.written_at, events, snapshot)


def encode_event(event: e.Event) -> pb.Event:
    """Encode one event."""
    return _ENCODERS[type(event)](event)


def encode_policy(customer: str, policy: CustomerPolicy | None) -> pb.Policy:
    """Encode a policy or its absence."""
    if policy is None:
        return pb.Policy(customer=customer)
    return pb.Policy(
        customer=customer,
        is_set=True,
        weight=policy.weight,
        paused=policy.paused,
        max_in_flight=policy.max_in_flight,
        rate=policy.rate,
        ordered=policy.ordered,
        max_backlog=policy.max_backlog,
        max_backlog_bytes=policy.max_backlog_bytes,
    )


def decode_policy(policy: pb.Policy) -> CustomerPolicy | None:
    """Rebuild a policy."""
    if not policy.is_set:
        return None
    return CustomerPolicy(
        weight=policy.weight if policy.HasField("weight") else None,
        paused=policy.paused if policy.HasField("paused") else None,
        max_in_flight=policy.max_in_flight if policy.HasField("max_in_flight") else None,
        rate=policy.rate if policy.HasField("rate") else None,
        ordered=policy.ordered if policy.HasField("ordered") else None,
        max_backlog=policy.max_backlog if policy.HasField("max_backlog") else None,
        max_backlog_bytes=policy.max_backlog_bytes if policy.HasField("max_backlog_bytes") else None,
    )


def _timed(rows: Iterable[tuple[str, str, int]]) -> pb.Timed:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pb.Timed(ids=columns[0], customers=columns[1], times=columns[2])


def _leases(leases: tuple[e.Lease, ...]) -> pb.Timed:
    return _timed((lease.id, lease.customer, lease.until) for lease in leases)


def _pairs(pairs: tuple[tuple[str, int], ...]) -> pb.Pairs:
    return pb.Pairs(ids=[name for name, _ in pairs], marks=[mark for _, mark in pairs])


def _deaths(deaths: tuple[e.Death, ...]) -> pb.Deaths:
    return pb.Deaths(
        ids=[death.id for death in deaths],
        customers=[death.customer for death in deaths],
        places=[death.place for death in deaths],
        times=[death.died_at for death in deaths],
    )


def _read_leases(timed: pb.Timed) -> tuple[e.Lease, ...]:
    return tuple(map(e.Lease, *_equal(timed.ids, timed.customers, timed.times)))


def _read_delays(timed: pb.Timed) -> tuple[e.Delay, ...]:
    return tuple(map(e.Delay, *_equal(timed.ids, timed.customers, timed.times)))


def _read_pairs(pairs: pb.Pairs) -> tuple[tuple[str, int], ...]:
    return tuple(zip(pairs.ids, pairs.marks, strict=True))


def _read_deaths(deaths: pb.Deaths) -> tuple[e.Death, ...]:
    return tuple(map(e.Death, *_equal(deaths.ids, deaths.customers, deaths.places, deaths.times)))


def _equal(*columns: Iterable[object]) -> tuple[Iterable[object], ...]:
    lists = [list(column) for column in columns]
    if len({len(column) for column in lists}) > 1:
        raise ValueError("columns of unequal length")
    return tuple(lists)


# Each is called with an event of the key's type; that can't be said in types.
_ENCODERS: Final[Mapping[type, Callable[..., pb.Event]]] = {
    e.HandedOver: lambda m: pb.Event(handed_over=_leases(m.leases)),
    e.Extended: lambda m: pb.Event(extended=_leases(m.leases)),
    e.Ended: lambda m: pb.Event(ended=pb.Ids(ids=m.ids)),
    e.Released: lambda m: pb.Event(released=pb.Ids(ids=m.ids)),
    e.Returned: lambda m: pb.Event(returned=pb.Ids(ids=m.ids)),
    e.Delayed: lambda m: pb.Event(delayed=_timed((one.id, one.customer, one.due) for one in m.delays)),
    e.Due: lambda m: pb.Event(due=_pairs(m.delays)),
    e.Died: lambda m: pb.Event(died=_deaths(m.deaths)),
    e.Reviving: lambda m: pb.Event(reviving=_pairs(m.deaths)),
    e.RevivingFailed: lambda m: pb.Event(reviving_failed=_pairs(m.deaths)),
    e.Revived: lambda m: pb.Event(revived=_pairs(m.deaths)),
    e.DeadRemoved: lambda m: pb.Event(dead_removed=_pairs(m.deaths)),
    e.CustomerSeen: lambda m: pb.Event(
        customer_seen=pb.Generation(customer=m.customer, generation=m.generation)
    ),
    e.CustomerRetired: lambda m: pb.Event(
        customer_retired=pb.Generation(customer=m.customer, generation=m.generation)
    ),
    e.CustomerRemoved: lambda m: pb.Event(
        customer_removed=pb.Generation(customer=m.customer, generation=m.generation)
    ),
    e.PolicySet: lambda m: pb.Event(policy_set=encode_policy(m.customer, m.policy)),
    e.Purged: lambda m: pb.Event(purged=m.customer),
    e.Alive: lambda _: pb.Event(alive=True),
    e.Gone: lambda m: pb.Event(gone=m.dispatcher),
    e.Barrier: lambda m: pb.Event(barrier=m.number),
    e.Note: lambda m: pb.Event(note=pb.Note(to=m.to, topic=m.topic, body=m.body)),
    e.SnapshotBegins: lambda m: pb.Event(snapshot_begins=pb.SnapshotBegins(name=m.name, offset=m.offset)),
    e.SnapshotPart: lambda m: pb.Event(
        snapshot_part=pb.SnapshotPart(name=m.name, index=m.index, data=m.data)
    ),
    e.SnapshotEnds: lambda m: pb.Event(snapshot_ends=pb.SnapshotEnds(name=m.name, parts=m.parts)),
}

_DECODERS: Final[Mapping[str, Callable[[pb.Event], e.Event]]] = {
    "customer_seen": lambda m: e.CustomerSeen(m.customer_seen.customer, m.customer_seen.generation),
    "customer_retired": lambda m: e.CustomerRetired(
        m.customer_retired.customer, m.customer_retired.generation
    ),
    "customer_removed": lambda m: e.CustomerRemoved(
        m.customer_removed.customer, m.customer_removed.generation
    ),
    "policy_set": lambda m: e.PolicySet(m.policy_set.customer, decode_policy(m.policy_set)),
    "purged": lambda m: e.Purged(m.purged),
    "handed_over": lambda m: e.HandedOver(_read_leases(m.handed_over)),
    "extended": lambda m: e.Extended(_read_leases(m.extended)),
    "ended": lambda m: e.Ended(tuple(m.ended.ids)),
    "released": lambda m: e.Released(tuple(m.released.ids)),
    "returned": lambda m: e.Returned(tuple(m.returned.ids)),
    "delayed": lambda m: e.Delayed(_read_delays(m.delayed)),
    "due": lambda m: e.Due(_read_pairs(m.due)),
    "died": lambda m: e.Died(_read_deaths(m.died)),
    "reviving": lambda m: e.Reviving(_read_pairs(m.reviving)),
    "reviving_failed": lambda m: e.RevivingFailed(_read_pairs(m.reviving_failed)),
    "revived": lambda m: e.Revived(_read_pairs(m.revived)),
    "dead_removed": lambda m: e.DeadRemoved(_read_pairs(m.dead_removed)),
    "alive": lambda m: e.Alive(),
    "gone": lambda m: e.Gone(m.gone),
    "barrier": lambda m: e.Barrier(m.barrier),
    "note": lambda m: e.Note(m.note.to, m.note.topic, m.note.body),
    "snapshot_begins": lambda m: e.SnapshotBegins(m.snapshot_begins.name, m.snapshot_begins.offset),
    "snapshot_part": lambda m: e.SnapshotPart(
        m.snapshot_part.name, m.snapshot_part.index, m.snapshot_part.data
    ),
    "snapshot_ends": lambda m: e.SnapshotEnds(m.snapshot_ends.name, m.snapshot_ends.parts),
}


def _decode_event(event: pb.Event) -> e.Event | None:
    kind = event.WhichOneof("kind")
    return None if kind is None else _DECODERS[kind](event)
