"""A snapshot and what came after it amount to the same as everything from the beginning."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker_core.model import CustomerPolicy
from fair_rabbitmq.journal import events as e
from fair_rabbitmq.journal.codec import encode
from fair_rabbitmq.journal.following import Assembly
from fair_rabbitmq.journal.replica import Replica
from fair_rabbitmq.journal.snapshots import dump, load
from fair_rabbitmq.journal.wire import Entry

ids = st.sampled_from([f"m{number}" for number in range(6)])
names = st.sampled_from(["a", "b", "c"])
dispatchers = st.sampled_from(["x", "y", "z"])
times = st.integers(0, 3)
leases = st.builds(e.Lease, ids, names, times).map(lambda lease: (lease,))
id_tuples = ids.map(lambda one: (one,))
pairs = st.tuples(ids, times).map(lambda pair: (pair,))
events: st.SearchStrategy[e.Event] = st.one_of(
    st.builds(e.CustomerSeen, names, times),
    st.builds(e.CustomerRetired, names, times),
    st.builds(e.CustomerRemoved, names, times),
    st.builds(e.PolicySet, names, st.sampled_from([None, CustomerPolicy(), CustomerPolicy(weight=2)])),
    st.builds(e.Purged, names),
    st.builds(e.HandedOver, leases),
    st.builds(e.HandedOver, leases),
    st.builds(e.Extended, leases),
    st.builds(e.Ended, id_tuples),
    st.builds(e.Released, id_tuples),
    st.builds(e.Returned, id_tuples),
    st.builds(e.Delayed, st.builds(e.Delay, ids, names, times).map(lambda one: (one,))),
    st.builds(e.Due, pairs),
    st.builds(e.Died, st.builds(e.Death, ids, names, times, times).map(lambda one: (one,))),
    st.builds(e.Reviving, pairs),
    st.builds(e.RevivingFailed, pairs),
    st.builds(e.Revived, pairs),
    st.builds(e.DeadRemoved, pairs),
    st.builds(e.Gone, dispatchers),
)
written = st.lists(st.tuples(dispatchers, st.lists(events, max_size=3).map(tuple)), max_size=40)


def describe(replica: Replica) -> object:
    """Tell everything that can be asked for, and all that is kept."""
    return (
        dict(sorted(replica.messages.items())),
        [message_id for message_id, known in replica.messages.items() if known.state == 1],
        {name: replica.counts(name) for name in ("a", "b", "c", None)},
        list(replica.dead.after(0)),
        (replica.dead.last_number, replica.dead.last_died_at),
        sorted(replica.generations, key=lambda one: one.name),
        sorted(replica.writers, key=lambda one: one.name),
        replica.policies(),
        replica.names_after("", 100),
        replica.time,
    )


def records(batches: list[tuple[str, tuple[e.Event, ...]]]) -> list[e.Record]:
    return [e.Record(name, number, number, some) for number, (name, some) in enumerate(batches, 1)]


@given(written, written)
def test_snapshot_and_rest_amount_to_everything(
    before: list[tuple[str, tuple[e.Event, ...]]], after: list[tuple[str, tuple[e.Event, ...]]]
) -> None:
    everything = records(before + after)
    expected, first = Replica(), Replica()
    for record in everything:
        expected.apply(record)
    for record in everything[: len(before)]:
        first.apply(record)
    restored = load(dump(first))
    assert describe(restored) == describe(first)
    for record in everything[len(before) :]:
        restored.apply(record)
    assert describe(restored) == describe(expected)


@given(written)
def test_counts_are_those_of_the_states(batches: list[tuple[str, tuple[e.Event, ...]]]) -> None:
    replica = Replica()
    for record in records(batches):
        replica.apply(record)
        states = [known.state.name for _, known in replica.messages.items()]
        total = replica.counts(None)
        assert (states.count("LEASED"), states.count("DELAYED")) == (total.leased, total.delayed)
        assert len(list(replica.dead.after(0))) == total.dead
        each = [replica.counts(name) for name in ("a", "b", "c")]
        assert sum(one.leased for one in each) == total.leased
        assert sum(one.delayed for one in each) == total.delayed
        assert sum(one.dead for one in each) == total.dead
        ids_of_dead = {dead.id for dead in replica.dead}
        assert not ids_of_dead & {message_id for message_id, _ in replica.messages.items()}


def test_a_snapshot_doesnt_change_while_it_is_taken() -> None:
    replica = Replica()
    leased = tuple(e.Lease(str(number), "a", 0) for number in range(2000))
    replica.apply(e.Record("d", 1, 0, (e.HandedOver(leased),)))
    parts = dump(replica)
    first = next(parts)
    replica.apply(e.Record("d", 2, 0, (e.Ended(tuple(lease.id for lease in leased)),)))
    assert load([first, *parts]).counts(None).leased == 2000


def entries(*batches: tuple[e.Event, ...]) -> list[Entry]:
    return [
        Entry(offset, encode(e.Record("d", offset, offset, batch))) for offset, batch in enumerate(batches, 1)
    ]


def lease(message_id: str) -> e.Event:
    return e.HandedOver((e.Lease(message_id, "a", 0),))


def test_reading_begins_at_a_snapshot_and_what_came_while_it_was_written() -> None:
    kept = Replica()
    kept.apply(e.Record("d", 1, 1, (lease("old"),)))
    parts = [e.SnapshotPart("s", index, data) for index, data in enumerate(dump(kept))]
    log = entries(
        (lease("old"),),
        (lease("between"),),
        (e.SnapshotBegins("s", 1),),
        *[(part,) for part in parts],
        (e.Ended(("old",)), lease("while")),
        (e.SnapshotEnds("s", len(parts)),),
        (lease("after"),),
    )
    assembly = Assembly(1, Replica)
    for entry in log:
        assembly.feed(entry)
    assert assembly.replica is not None
    assert {message_id for message_id, _ in assembly.replica.messages.items()} == {
        "between",
        "while",
        "after",
    }
    assert assembly.collector.latest == 1


def test_a_snapshot_that_isnt_complete_is_none() -> None:
    assembly = Assembly(-1, Replica)
    for entry in entries(
        (e.SnapshotBegins("s", 1),), (e.SnapshotPart("s", 1, b""),), (e.SnapshotEnds("s", 2),)
    ):
        assembly.feed(entry)
    assert assembly.collector.latest == -1


def test_what_no_dispatcher_wrote_is_left_out() -> None:
    assembly = Assembly(-1, Replica)
    assert assembly.feed(Entry(0, b"garbage")) is None
    (good,) = entries((lease("1"),))
    assert assembly.feed(good) is not None
    assert assembly.feed(good) is None, "an entry that comes twice counts once"
