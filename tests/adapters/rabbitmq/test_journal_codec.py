"""Records of the journal come back as they were written."""

from __future__ import annotations

import pytest

from broker_core.model import CustomerPolicy
from fair_rabbitmq.journal import events as e
from fair_rabbitmq.journal.codec import UndecodableRecord, decode, encode
from fair_rabbitmq.journal.journal_pb2 import Event, Record, Timed
from fair_rabbitmq.parcel import Parcel, parcel_from_bytes, parcel_to_bytes

EVENTS: list[e.Event] = [
    e.CustomerSeen("مشتری", 0),
    e.CustomerRetired("a", 3),
    e.CustomerRemoved("a", 2**40),
    e.PolicySet("a", None),
    e.PolicySet("a", CustomerPolicy()),
    e.PolicySet("a", CustomerPolicy(weight=3, paused=False)),
    e.PolicySet("a", CustomerPolicy(2, 3, 0.5, True, False, 7, 8)),
    e.Purged("a"),
    e.HandedOver((e.Lease("1", "a", 2**45), e.Lease("2", "b", 0))),
    e.HandedOver(()),
    e.Extended((e.Lease("1", "a", 7),)),
    e.Ended(("1", "2")),
    e.Released(("1",)),
    e.Returned(("1",)),
    e.Delayed((e.Delay("1", "a", 9),)),
    e.Due((("1", 9), ("2", -1))),
    e.Died((e.Death("1", "a", 2**50, 77),)),
    e.Reviving((("1", 5),)),
    e.RevivingFailed((("1", 5),)),
    e.Revived((("1", 5),)),
    e.DeadRemoved((("1", 5),)),
    e.Alive(),
    e.Gone("other"),
    e.Barrier(2**31),
    e.Note("to", "topic", b"\x00\xff"),
    e.SnapshotBegins("s", 12),
    e.SnapshotPart("s", 3, b"\x00"),
    e.SnapshotEnds("s", 4),
]


def test_all_kinds_of_events_are_among_them() -> None:
    assert {type(event) for event in EVENTS} == set(e.Event.__args__)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back(event: e.Event) -> None:
    record = e.Record("d", 1, 2, (event,), 3)
    assert decode(encode(record)) == record


@pytest.mark.parametrize("snapshot", [None, -1, 0, 2**50])
def test_a_record_comes_back(snapshot: int | None) -> None:
    record = e.Record("d", 2**40, 2**41, tuple(EVENTS), snapshot)
    assert decode(encode(record)) == record


@pytest.mark.parametrize("data", [b"", b"\xff\xff", b"\x0a\x05ab", encode(e.Record("", 1, 1, ()))])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(UndecodableRecord):
        decode(data)


def test_columns_of_unequal_length_are_refused() -> None:
    broken = Event(handed_over=Timed(ids=["1"], customers=[], times=[]))
    with pytest.raises(UndecodableRecord):
        decode(Record(dispatcher="d", number=1, events=[broken]).SerializeToString())


def test_events_of_a_later_release_are_left_out() -> None:
    data = Record(dispatcher="d", number=1, events=[Event(), Event(gone="x")]).SerializeToString()
    assert decode(data).events == (e.Gone("x"),)


def test_a_parcel_comes_back() -> None:
    parcel = Parcel("1", "مشتری", b"\x00\xff", {"cost": 3, "note": "سلام", "empty": ""})
    assert parcel_from_bytes(parcel_to_bytes(parcel)) == parcel
