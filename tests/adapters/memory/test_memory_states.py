"""Messages move between their states as the delivery contract says, by the broker's clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from broker_core import CustomerPolicy
from broker_core.adapter import Verb
from broker_core.errors import InvalidArgument
from tests.adapters.memory.stage import NOON, Stage


def test_a_lease_ends_when_it_says_and_not_before() -> None:
    stage = Stage()
    stage.publish("a")
    (first,) = stage.receive()
    assert first.lease_until == datetime.fromtimestamp(NOON + 30, UTC)
    stage.now += 29.999
    assert stage.receive() == []
    stage.now = NOON + 30
    (second,) = stage.receive()
    assert (second.id, second.attempt, second.published_at) == (first.id, 2, first.published_at)
    assert second.receipt != first.receipt


def test_until_it_is_recovered_the_old_owner_may_still_settle() -> None:
    stage = Stage()
    stage.publish("a")
    got = stage.receive()
    stage.now += 1000
    assert stage.settle(Verb.ACK, got) == []
    assert stage.backlog() == (0, 0, 0, 0)


@pytest.mark.parametrize("verb", Verb)
def test_afterwards_every_verb_of_the_old_owner_is_lost_and_changes_nothing(verb: Verb) -> None:
    stage = Stage()
    stage.publish("a")
    old = stage.receive()
    stage.now += 30
    new = stage.receive()
    assert stage.settle(verb, old) == [old[0].receipt]
    assert stage.broker.extend([old[0].receipt], 99) == [None]
    assert stage.backlog() == (0, 1, 0, 0)
    assert stage.settle(Verb.ACK, new) == []


@pytest.mark.parametrize("verb", Verb)
def test_only_ack_succeeds_for_what_no_longer_exists(verb: Verb) -> None:
    stage = Stage()
    stage.publish("a", "b")
    got = stage.receive()
    stage.settle(Verb.ACK, got[:1])
    stage.broker.purge("b")
    receipts = [delivery.receipt for delivery in got]
    assert stage.settle(verb, got) == ([] if verb is Verb.ACK else receipts)
    assert stage.broker.extend(receipts, 99) == [None, None]


@pytest.mark.parametrize("verb", [Verb.NACK, Verb.RELEASE, Verb.DEAD_LETTER])
def test_ack_is_lost_for_what_exists_in_any_other_state(verb: Verb) -> None:
    stage = Stage()
    stage.publish("a")
    got = stage.receive()
    stage.settle(verb, got)
    assert stage.settle(Verb.ACK, got) == [got[0].receipt]


def test_a_renewed_lease_ends_later() -> None:
    stage = Stage()
    stage.publish("a", "b")
    got = stage.receive()
    assert stage.broker.extend([got[0].receipt], 100) == [datetime.fromtimestamp(NOON + 100, UTC)]
    stage.now += 99
    assert [delivery.customer for delivery in stage.receive()] == ["b"]
    stage.now += 1
    assert [delivery.customer for delivery in stage.receive()] == ["a"]


def test_the_last_attempt_ends_in_death_whatever_ends_it() -> None:
    stage = Stage(max_attempts=1)
    stage.publish("nacked", "expired")
    nacked, _ = stage.receive()
    stage.settle(Verb.NACK, [nacked], reason="busy")
    assert stage.backlog() == (0, 1, 0, 1)
    stage.now += 30
    assert stage.receive() == []
    dead = stage.broker.dead_letters(None, 10, None, stage.settings)
    assert [(one.customer, one.attempts, one.reason) for one in dead] == [
        ("nacked", 1, "busy"),
        ("expired", 1, "lease expired on the last attempt"),
    ]


def test_a_nack_counts_the_attempt_and_keeps_its_delay() -> None:
    stage = Stage()
    stage.publish("a")
    stage.settle(Verb.NACK, stage.receive(), delay=2.5)
    assert stage.backlog() == (0, 0, 1, 0)
    stage.now += 2.4
    assert stage.receive() == []
    stage.now += 0.1
    assert stage.backlog() == (1, 0, 0, 0)
    assert [delivery.attempt for delivery in stage.receive()] == [2]


def test_a_release_does_not_count() -> None:
    stage = Stage(max_attempts=1)
    stage.publish("a")
    for _ in range(5):
        (got,) = stage.receive()
        assert got.attempt == 1
        stage.settle(Verb.RELEASE, [got])


def test_ids_are_unique_and_grow_also_when_the_clock_goes_back() -> None:
    stage = Stage()
    ids = stage.publish(*"abc")
    stage.now -= 3600
    ids += stage.publish(*"abc")
    numbers = [tuple(map(int, one.split("-"))) for one in ids]
    assert numbers == sorted(set(numbers))


def test_a_known_key_is_stored_once_within_the_window() -> None:
    stage = Stage(dedup_window=60)
    first = stage.publish("a", id="k")
    assert stage.publish("a", "a", id="k") == first * 2
    assert stage.publish("b", id="k") != first
    stage.settle(Verb.ACK, stage.receive())
    stage.now += 59
    assert stage.publish("a", id="k") == first
    stage.now += 1
    assert stage.publish("a", id="k") != first
    assert stage.backlog() == (1, 0, 0, 0)


def test_without_a_window_nothing_is_known() -> None:
    stage = Stage(dedup_window=0)
    assert len(set(stage.publish("a", "a", id="k"))) == 2
    assert stage.broker.residue() == ["1 customers", "1 customers in the ring"]


def test_dead_letters_are_kept_until_they_are_too_old() -> None:
    stage = Stage(dead_letter_retention=100)
    stage.publish(*"ab")
    first, second = stage.receive()
    stage.settle(Verb.DEAD_LETTER, [first], reason="bad")
    stage.now += 50
    stage.settle(Verb.DEAD_LETTER, [second], reason="bad")
    stage.now += 49
    assert stage.backlog() == (0, 0, 0, 2)
    stage.now += 1
    assert stage.backlog() == (0, 0, 0, 1)
    stage.now += 50
    assert list(stage.broker.dead_letters(None, 10, None, stage.settings)) == []
    assert stage.broker.residue() == []


def test_what_is_redriven_has_its_id_and_no_past() -> None:
    stage = Stage(max_attempts=2, dedup_window=60)
    ids = stage.publish("a", id="k")
    stage.settle(Verb.DEAD_LETTER, stage.receive())
    assert stage.broker.end_dead_letters("b", None, stage.settings, redrive=True) == 0
    assert stage.broker.end_dead_letters("a", ["1-1-0"], stage.settings, redrive=True) == 0
    assert stage.broker.end_dead_letters("a", [*ids, "1-1-0"], stage.settings, redrive=True) == 1
    (again,) = stage.receive()
    assert (again.id, again.attempt) == (ids[0], 1)


def test_dead_letters_can_be_removed() -> None:
    stage = Stage()
    stage.publish(*"aab")
    stage.settle(Verb.DEAD_LETTER, stage.receive())
    assert stage.broker.end_dead_letters("a", None, stage.settings, redrive=False) == 2
    assert stage.backlog() == (0, 0, 0, 1)


def test_purging_takes_every_state_but_the_dead_and_voids_receipts() -> None:
    stage = Stage()
    stage.publish(*"aaaab")
    dead, leased, delayed, returned = (one for one in stage.receive() if one.customer == "a")
    stage.settle(Verb.DEAD_LETTER, [dead])
    stage.settle(Verb.NACK, [delayed], delay=5)
    stage.settle(Verb.RELEASE, [returned])
    stage.publish("a")
    assert stage.backlog("a") == (2, 1, 1, 1)
    assert stage.broker.purge("a") == 4
    assert stage.backlog("a") == (0, 0, 0, 1)
    assert stage.backlog("b") == (0, 1, 0, 0)
    assert stage.settle(Verb.NACK, [leased]) == [leased.receipt]
    stage.now += 1000
    assert stage.order() == "b"
    assert stage.broker.purge("nobody") == 0


def test_garbage_dies_when_its_turn_comes_and_costs_nothing() -> None:
    stage = Stage(quantum=1)
    stage.publish(*"ab")
    garbage = stage.broker.inject_garbage("a", b"\xff\x00")
    stage.publish(*"aab")
    assert stage.backlog("a") == (4, 0, 0, 0)
    assert stage.order() == "ababa"
    (dead,) = stage.broker.dead_letters("a", 10, None, stage.settings)
    assert (dead.id, dead.message.payload, dead.attempts) == (garbage, b"\xff\x00", 0)
    assert dead.reason == "undecodable entry"


def test_garbage_alone_is_not_delivered() -> None:
    stage = Stage()
    stage.broker.inject_garbage("a", b"\xff")
    assert stage.receive() == []
    assert stage.backlog() == (0, 0, 0, 1)
    assert stage.broker.end_dead_letters("a", None, stage.settings, redrive=True) == 1
    assert stage.receive() == []
    assert stage.backlog() == (0, 0, 0, 1)


@pytest.mark.parametrize(
    "receipt", ["", "1-1", "memory.xyz.1-1-0:a", "memory.1.1-1:a", "memory.1.1-1-0:", "0.abcdefgh.1-1:a"]
)
def test_what_is_no_receipt_is_refused_and_nothing_is_changed(receipt: str) -> None:
    stage = Stage()
    stage.publish("a")
    (got,) = stage.receive()
    for verb in Verb:
        with pytest.raises(InvalidArgument, match="not a receipt"):
            stage.settle(
                verb, [got, type(got)(got.message, "", 1, got.published_at, got.lease_until, receipt)]
            )
    with pytest.raises(InvalidArgument, match="not a receipt"):
        stage.broker.extend([got.receipt, receipt], 5)
    assert stage.backlog() == (0, 1, 0, 0)


def test_receipts_work_for_every_name() -> None:
    stage = Stage()
    names = ["a:b", "a\u2028b", "{x}.*", " ", "😀" * 200]
    stage.publish(*names)
    got = stage.receive()
    assert stage.settle(Verb.ACK, got) == []
    assert stage.settle(Verb.ACK, got) == []
    assert stage.broker.residue() == []


def test_when_everything_is_acked_nothing_stays() -> None:
    stage = Stage(dedup_window=5)
    for number in range(200):
        stage.publish(f"c{number % 50}", id=str(number))
    while got := stage.receive(7):
        stage.settle(Verb.NACK, [one for one in got if one.attempt == 1], delay=1)
        stage.settle(Verb.ACK, [one for one in got if one.attempt == 2])
        stage.now += 1
    assert stage.backlog() == (0, 0, 0, 0)
    stage.now += 5
    assert stage.broker.residue() == []
    assert stage.broker.is_empty()


def test_policies_stay_until_they_are_removed() -> None:
    stage = Stage()
    policy = CustomerPolicy(weight=3)
    stage.broker.set_policy("a", policy)
    assert stage.broker.inspect("a", stage.settings)[1] == policy
    assert not stage.broker.is_empty()
    stage.broker.set_policy("a", None)
    stage.broker.set_policy("a", None)
    assert stage.broker.inspect("a", stage.settings)[1] is None
    assert stage.broker.is_empty()
