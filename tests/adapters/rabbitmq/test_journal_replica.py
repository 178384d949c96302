"""What the journal's events amount to, and what of them comes too late."""

from __future__ import annotations

from itertools import count

from broker_core.model import CustomerPolicy
from fair_rabbitmq.journal import events as e
from fair_rabbitmq.journal.replica import Counts, KnownCustomer, Replica, State


class Writing:
    """Applies events to a replica as records of some dispatcher."""

    def __init__(self, replica: Replica | None = None) -> None:
        self.replica = replica or Replica()
        self.numbers = count(1)
        self.now = 1000

    def write(self, *events: e.Event, by: str = "d") -> None:
        assert self.replica.apply(e.Record(by, next(self.numbers), self.now, events))

    def lease(self, *ids: str, by: str = "d", customer: str = "a") -> None:
        self.write(e.HandedOver(tuple(e.Lease(one, customer, 0) for one in ids)), by=by)

    def kill(self, *ids: str, by: str = "d", customer: str = "a", died_at: int = 5) -> None:
        self.write(e.Died(tuple(e.Death(one, customer, int(one), died_at) for one in ids)), by=by)


def test_a_lease_ends_in_each_way() -> None:
    w, r = (writing := Writing()), writing.replica
    w.lease("1", "2", "3", "4", "5")
    assert r.counts("a") == r.counts(None) == Counts(leased=5)
    assert r.lease_owner("1") == "d"
    w.write(e.Ended(("1",)))
    assert (r.state("1"), r.attempts("1")) == (State.UNKNOWN, 0)
    w.write(e.Released(("2",)))
    assert (r.state("2"), r.attempts("2")) == (State.UNKNOWN, 0)
    w.write(e.Returned(("3",)))
    assert (r.state("3"), r.attempts("3"), r.lease_owner("3")) == (State.READY, 1, None)
    w.write(e.Delayed((e.Delay("4", "a", 99),)))
    assert (r.state("4"), r.attempts("4")) == (State.DELAYED, 1)
    w.kill("5")
    assert r.state("5") is State.DEAD
    assert r.counts("a") == Counts(delayed=1, dead=1)


def test_attempts_are_counted_over_dispatchers() -> None:
    w, r = (writing := Writing()), writing.replica
    for attempt, dispatcher in enumerate(("x", "y", "x"), 1):
        w.lease("1", by=dispatcher)
        assert r.attempts("1") == attempt
        w.write(e.Returned(("1",)), by=dispatcher)
    w.lease("1")
    w.write(e.Released(("1",)))
    assert r.attempts("1") == 3


def test_a_record_that_is_repeated_changes_nothing() -> None:
    r = Replica()
    record = e.Record("d", 1, 0, (e.HandedOver((e.Lease("1", "a", 0),)),))
    assert r.apply(record)
    assert not r.apply(record)
    assert r.attempts("1") == 1
    assert r.apply(e.Record("other", 1, 0, (e.HandedOver((e.Lease("1", "a", 0),)),)))
    assert r.attempts("1") == 2


def test_what_a_dispatcher_that_is_gone_leased_is_ready_with_its_attempts() -> None:
    w, r = (writing := Writing()), writing.replica
    w.lease("1", "2", by="x")
    w.lease("3", by="y")
    w.write(e.Gone("x"), by="y")
    assert r.counts(None) == Counts(leased=1)
    assert r.writers.live() == ["y"]
    w.lease("1", by="y")
    assert r.attempts("1") == 2
    # It wasn't gone: what it still has is its, what went to another isn't.
    w.write(e.Extended((e.Lease("1", "a", 7), e.Lease("2", "a", 7))), by="x")
    assert (r.lease_owner("1"), r.lease_owner("2"), r.attempts("2")) == ("y", "x", 1)
    assert r.writers.is_live("x")
    w.write(e.Ended(("1", "2")), by="x")
    assert (r.state("1"), r.state("2")) == (State.LEASED, State.UNKNOWN)


def test_a_delay_ends_when_it_is_due_and_no_other_one_does() -> None:
    w, r = (writing := Writing()), writing.replica
    w.lease("1")
    w.write(e.Delayed((e.Delay("1", "a", 50),)))
    w.write(e.Due((("1", 49), ("2", 50))))
    assert r.is_delayed("1", 50)
    w.write(e.Due((("1", 50),)))
    assert (r.state("1"), r.attempts("1")) == (State.READY, 1)
    w.lease("1")
    w.write(e.Due((("1", 50),)))
    assert r.state("1") is State.LEASED


def test_who_failed_to_store_a_delayed_copy_still_has_the_message() -> None:
    w, r = (writing := Writing()), writing.replica
    w.lease("1", "2", "3")
    w.write(e.Delayed(tuple(e.Delay(one, "a", 50) for one in "123")))
    w.write(e.Extended((e.Lease("1", "a", 7),)))
    assert (r.lease_owner("1"), r.attempts("1"), r.is_delayed("1", 50)) == ("d", 1, False)
    w.write(e.Delayed((e.Delay("2", "a", 60),)))
    assert r.is_delayed("2", 60)
    w.write(e.Extended((e.Lease("2", "a", 7),)), e.Ended(("2", "3")), by="x")
    assert r.is_delayed("2", 60), "another one has no say"
    w.write(e.Ended(("3",)))
    assert r.state("3") is State.UNKNOWN
    w.write(e.Gone("d"), by="x")
    assert r.counts(None) == Counts(delayed=1)
    w.write(e.Extended((e.Lease("2", "a", 7),)))
    assert r.is_delayed("2", 60), "its copy may have come out by now"


def test_a_message_that_is_handed_over_waits_no_more() -> None:
    # Its consumer crashed between storing the delayed copy and acking the original.
    w, r = (writing := Writing()), writing.replica
    w.lease("1", by="x")
    w.write(e.Delayed((e.Delay("1", "a", 50),)), by="x")
    w.lease("1", by="y")
    assert not r.is_delayed("1", 50)
    assert r.counts(None) == Counts(leased=1)
    assert r.attempts("1") == 2


def test_purge_voids_leases_until_their_owners_end_them() -> None:
    w, r = (writing := Writing()), writing.replica
    w.lease("1", "2", "3", "4", "5")
    w.lease("6", customer="b")
    w.write(e.Returned(("1",)), e.Delayed((e.Delay("2", "a", 50),)))
    w.kill("5")
    w.write(e.Purged("a"), by="x")
    assert r.counts("a") == Counts(dead=1)
    assert r.counts(None) == Counts(leased=1, dead=1)
    assert not r.is_delayed("2", 50)
    w.write(e.Delayed((e.Delay("3", "a", 60),)))
    w.kill("4")
    assert r.counts("a") == Counts(dead=1), "a purged message comes back"
    assert len(r.messages) == 1


def test_purged_leases_of_a_dispatcher_that_is_gone_are_forgotten() -> None:
    w, r = (writing := Writing()), writing.replica
    w.lease("1")
    w.write(e.Purged("a"), e.Gone("d"), by="x")
    assert len(r.messages) == 0


def test_dead_letters_are_in_the_order_of_the_journal() -> None:
    w, r = (writing := Writing()), writing.replica
    w.kill("3", died_at=50)
    w.kill("1", customer="b", died_at=40)  # by a clock that is late
    w.kill("2", died_at=60)
    listed = [(dead.id, dead.died_at) for dead in r.dead.after(0)]
    assert listed == [("3", 50), ("1", 50), ("2", 60)]
    second = r.dead.get("1")
    assert second is not None
    assert [dead.id for dead in r.dead.after(second.number)] == ["2"]
    assert [dead.id for dead in r.dead.after(0, "a")] == ["3", "2"]
    assert list(r.dead.after(0, "c")) == []


def test_a_second_death_of_the_same_message_changes_nothing() -> None:
    w, r = (writing := Writing()), writing.replica
    w.kill("1")
    w.write(e.Died((e.Death("1", "a", 77, 9),)))
    dead = r.dead.get("1")
    assert dead is not None
    assert dead.place == 1
    assert r.counts("a").dead == 1


def test_the_first_to_claim_redrives() -> None:
    w, r = (writing := Writing()), writing.replica
    w.kill("1", "2")
    w.write(e.Reviving((("1", 1),)), by="x")
    w.write(e.Reviving((("1", 1), ("2", 99))), by="y")
    assert [dead.reviving for dead in r.dead.after(0)] == ["x", None]
    assert (r.is_buried("1"), r.is_buried("2"), r.is_buried("3")) == (False, True, False)
    w.write(e.Revived((("1", 1),)), by="y")
    w.write(e.DeadRemoved((("1", 1),)), by="y")
    assert r.state("1") is State.DEAD
    w.write(e.Revived((("1", 1),)), by="x")
    assert (r.state("1"), r.attempts("1")) == (State.UNKNOWN, 0)


def test_a_claim_ends_with_its_dispatcher_or_by_its_word() -> None:
    w, r = (writing := Writing()), writing.replica
    w.kill("1", "2")
    w.write(e.Reviving((("1", 1), ("2", 2))), by="x")
    w.write(e.RevivingFailed((("1", 1),)), by="x")
    assert (r.is_buried("1"), r.is_buried("2")) == (True, False)
    w.write(e.Gone("x"))
    assert r.is_buried("2")
    w.write(e.DeadRemoved((("1", 1), ("2", 1))))
    assert [dead.id for dead in r.dead.after(0)] == ["2"]


def test_dead_letters_end_with_their_retention_and_leave_no_memory() -> None:
    w, r = (writing := Writing()), writing.replica
    for number in range(1, 1001):
        w.kill(str(number), died_at=number)
    assert r.drop_dead_before(901) == 900
    assert r.counts("a") == Counts(dead=100)
    assert [dead.id for dead in r.dead.after(0)][:2] == ["901", "902"]
    assert r.drop_dead_before(10_000) == 100
    assert list(r.names_after("", 10)) == []


def test_generations_of_queues() -> None:
    w, r = (writing := Writing()), writing.replica
    w.write(e.CustomerSeen("a", 1), e.CustomerSeen("a", 1))
    assert r.customer("a") == KnownCustomer("a", 1, 1)
    w.write(e.CustomerRetired("a", 1), e.CustomerSeen("a", 2), e.CustomerSeen("a", 1))
    assert r.customer("a") == KnownCustomer("a", 1, 2, 1)
    w.lease("1")
    w.write(e.Returned(("1",)))
    w.write(e.CustomerRemoved("a", 1))
    assert r.customer("a") == KnownCustomer("a", 2, 2)
    assert r.attempts("1") == 1
    w.write(e.CustomerRemoved("a", 1), e.CustomerRemoved("a", 2))
    assert (r.customer("a"), r.attempts("1")) == (None, 0)
    assert r.customers() == []


def test_policies_and_names() -> None:
    w, r = (writing := Writing()), writing.replica
    policy = CustomerPolicy(weight=3)
    w.write(e.PolicySet("p", policy), e.CustomerSeen("q", 0))
    w.lease("1", customer="l")
    w.kill("2", customer="d")
    assert r.policy("p") == policy
    assert r.names_after("", 10) == ["d", "l", "p", "q"]
    assert r.names_after("d", 2) == ["l", "p"]
    w.write(e.PolicySet("p", None), e.Ended(("1",)))
    assert (r.policy("p"), r.policies()) == (None, {})
    assert r.names_after("", 10) == ["d", "q"]


def test_attempts_are_forgotten_beyond_a_bound_the_oldest_first() -> None:
    w = Writing(Replica(max_ready=3, ready_ms=100))
    for number in range(5):
        w.lease(str(number))
        w.write(e.Returned((str(number),)))
    assert [w.replica.attempts(str(number)) for number in range(5)] == [0, 0, 1, 1, 1]
    w.now += 50
    w.lease("4")
    w.now += 60
    w.write(e.Alive())
    assert [w.replica.attempts(str(number)) for number in range(5)] == [0, 0, 0, 0, 2]
    assert w.replica.state("4") is State.LEASED


def test_writers_that_are_gone_are_forgotten_after_an_hour() -> None:
    w = Writing()
    w.write(e.Alive(), by="x")
    w.write(e.Gone("x"), by="y")
    w.now += 3_600_001
    w.write(e.Alive(), by="z")
    assert {writer.name for writer in w.replica.writers} == {"y", "z"}
