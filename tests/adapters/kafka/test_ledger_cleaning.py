"""Records are released for deletion when nothing needs them, and never before."""

from __future__ import annotations

import pytest

from broker_core.adapter import Verb
from fair_kafka.ledger import commands as c
from fair_kafka.ledger import outcomes as o
from fair_kafka.ledger.entries import State
from fair_kafka.ledger.logs import BLOCK_BITS, CleanablePart
from tests.adapters.kafka.ledger_driver import A, B, Driver, expect, ids

BLOCK = 1 << BLOCK_BITS


def clean(driver: Driver, up_to: int, partition: int = 0, topic: int = 0, *, orphans: bool = False) -> int:
    return expect(o.Cleaned, driver.do(c.Clean, topic, partition, up_to, orphans=orphans)).released


def test_everything_goes_when_everything_is_acked() -> None:
    driver = Driver().begin()
    driver.publish("a", 3)
    assert driver.ledger.cleanable() == []
    driver.ack(driver.receive())
    assert driver.ledger.cleanable() == [CleanablePart(0, 0, 3)]
    assert clean(driver, 3) == 3
    assert driver.ledger.cleanable() == []


@pytest.mark.parametrize("verb", [None, Verb.RELEASE, Verb.NACK, Verb.DEAD_LETTER])
def test_what_is_live_in_any_state_stays(verb: Verb | None) -> None:
    driver = Driver().begin()
    driver.publish("a", 5 * BLOCK)
    got = driver.receive(5 * BLOCK)
    kept = got.pop(2 * BLOCK)
    driver.ack(got)
    if verb is not None:
        driver.settle(verb, [kept], delay_ms=100)
    assert clean(driver, 10 * BLOCK) == 2 * BLOCK
    log = driver.ledger.log_of(0, 0)
    assert (log.live, log.low, log.end, log.released) == (1, 2 * BLOCK, 5 * BLOCK, 2 * BLOCK)


def test_fresh_messages_are_live() -> None:
    driver = Driver().begin()
    driver.publish("a", 2 * BLOCK + 10)
    driver.ack(driver.receive(BLOCK + 1))
    assert clean(driver, 10 * BLOCK) == BLOCK
    driver.do(c.Purge, "a")
    assert clean(driver, 10 * BLOCK) == 2 * BLOCK + 10


def test_a_publish_below_what_was_released_is_refused_and_changes_nothing() -> None:
    driver = Driver().begin()
    slow = driver.entry("a", 2)
    fast = driver.entry("a", 2)
    driver.do(c.Publish, (fast,))
    driver.ack(driver.receive())
    assert clean(driver, 100) == 4
    assert driver.do(c.Publish, (slow,)) == o.Published((o.Refusal.CLEANED,))
    assert driver.ledger.backlog().ready == 0
    assert driver.publish("a")


def test_a_refused_run_may_be_cleaned_away() -> None:
    driver = Driver().begin(partitions=1, max_partitions=1)
    driver.ack((driver.publish("a"), driver.receive())[1])
    late = driver.entry("a", 4)
    driver.place("b")
    driver.do(c.Publish, (late,))
    assert clean(driver, 100) == 5


def test_orphans_stay_unless_they_are_named() -> None:
    driver = Driver().begin()
    driver.ack((driver.publish("a"), driver.receive())[1])
    orphan = driver.entry("a", 3)
    assert clean(driver, 4) == 1
    assert clean(driver, 4, orphans=True) == 4
    assert driver.do(c.Publish, (orphan,)) == o.Published((o.Refusal.CLEANED,))
    driver.publish("a")
    assert clean(driver, 100, orphans=True) == 4, "never what is live"


def test_a_moved_payload_pins_its_old_place_no_more() -> None:
    driver = Driver().begin()
    driver.publish("a", 2)
    one, other = driver.receive()
    driver.ack([other])
    target = c.Ref(c.Topic.RETRY, 0, 9)
    move = c.Move(one.serial, one.ref, target)
    assert driver.do(c.Relocate, (move,)) == o.Relocated((True,))
    assert clean(driver, 2) == 2
    assert clean(driver, 100, topic=c.Topic.RETRY) == 0
    driver.settle(Verb.RELEASE, [one])
    (again,) = driver.receive()
    assert (again.id, again.ref, again.attempt) == (one.id, target, 1)
    driver.ack([again])
    assert clean(driver, 100, topic=c.Topic.RETRY) == 10


def test_a_move_counts_only_for_a_message_that_lies_where_it_came_from() -> None:
    driver = Driver().begin()
    driver.publish("a", 3)
    moved, acked, late = driver.receive()
    driver.ack([acked])
    there = [c.Ref(c.Topic.RETRY, 0, offset) for offset in range(3)]
    first = c.Move(moved.serial, moved.ref, there[0])
    assert driver.do(c.Relocate, (first,)) == o.Relocated((True,))
    second = c.Move(moved.serial, moved.ref, there[1])
    gone = c.Move(acked.serial, acked.ref, there[2])
    assert driver.do(c.Relocate, (second, gone)) == o.Relocated((False, False))
    driver.ack([moved])
    assert clean(driver, 100, topic=c.Topic.RETRY) == 3, "copies that don't count may go"
    assert driver.do(c.Relocate, (c.Move(late.serial, late.ref, there[1]),)) == o.Relocated((False,))
    assert driver.ledger.log_of(*late.ref[:2]).live == 1


def test_a_partition_whose_messages_were_all_moved_is_free() -> None:
    driver = Driver().begin(partitions=1, max_partitions=1)
    driver.publish("a")
    got = driver.receive()
    driver.settle(Verb.DEAD_LETTER, got, reason="bad number")
    (letter,) = driver.ledger.dead_letters_elsewhere(10)
    target = c.Ref(c.Topic.DEAD_LETTERS, 0, 0)
    driver.do(c.Relocate, (c.Move(letter.serial, letter.ref, target),))
    assert driver.ledger.dead_letters_elsewhere(10) == []
    assert driver.place("b") == o.Place(0, 1)
    (again,) = driver.ledger.dead_letters_page("a", 10, None)
    assert (again.id, again.ref, again.reason) == (letter.id, target, "bad number")
    driver.do(c.EndDeadLetters, "a", None, redrive=True)
    assert [message.ref for message in driver.receive()] == [target]


def test_pins_are_old_messages_that_were_handed_over() -> None:
    driver = Driver().begin()
    driver.publish("a", 4 * BLOCK)
    got = driver.receive(3 * BLOCK)
    assert driver.ledger.pins(5 * BLOCK, 10) == []
    delayed, leased = got.pop(1), got.pop(0)
    driver.settle(Verb.NACK, [delayed], delay_ms=100)
    driver.ack(got)
    pins = driver.ledger.pins(BLOCK, 10)
    assert [(pin.serial, pin.state) for pin in pins] == [
        (leased.serial, State.LEASED),
        (delayed.serial, State.DELAYED),
    ]
    assert pins[0].ref == leased.ref
    assert len(driver.ledger.pins(BLOCK, 1)) == 1


def test_nothing_is_copied_from_behind_messages_that_wait_for_their_first_delivery() -> None:
    driver = Driver().begin()
    for _ in range(2):
        driver.publish("a", 3 * BLOCK)
    got = driver.receive(2)
    first, second = got
    log = driver.ledger.log_of(0, 0)
    assert (log.low, log.end) == (0, 6 * BLOCK)
    assert [pin.serial for pin in driver.ledger.pins(BLOCK, 10)] == [first.serial, second.serial]
    rest = driver.receive(10 * BLOCK)
    driver.ack(rest)
    late = driver.entry("a")
    driver.do(c.Publish, (late._replace(base_offset=0),))  # between the two, as it were
    assert [pin.serial for pin in driver.ledger.pins(BLOCK, 10)] == [first.serial]


def test_a_message_whose_payload_is_gone_is_removed_and_counted() -> None:
    driver = Driver().begin()
    driver.publish("a", 3)
    leased, dead, ready = driver.receive()
    driver.settle(Verb.DEAD_LETTER, [dead])
    driver.settle(Verb.RELEASE, [ready])
    elsewhere = c.Gone(leased.serial, c.Ref(0, 0, 99))
    assert driver.do(c.Vanished, (elsewhere,)) == o.Counted(0)
    gone = tuple(c.Gone(message.serial, message.ref) for message in (leased, dead, ready))
    assert driver.do(c.Vanished, gone) == o.Counted(2), "a ready one is found out when it is handed over"
    assert (driver.ledger.backlog().leased, driver.ledger.backlog().dead) == (0, 0)
    assert ids(driver.receive()) == [ready.id]
    assert driver.settle(Verb.NACK, [leased]) == [leased.receipt]


def test_one_dispatcher_at_a_time_cleans() -> None:
    driver = Driver().begin()
    driver.open(B)
    until = driver.now_ms + 1000
    assert driver.do(c.Janitor, 1000) == o.JanitorIs(A, until)
    assert driver.do(c.Janitor, 1000, session=B) == o.JanitorIs(A, until)
    driver.now_ms += 999
    assert driver.do(c.Janitor, 1000) == o.JanitorIs(A, until + 999)
    driver.now_ms += 1000
    assert driver.do(c.Janitor, 500, session=B) == o.JanitorIs(B, driver.now_ms + 500)
    assert driver.do(c.Janitor, 500) == o.JanitorIs(B, driver.now_ms + 500)


def test_who_closes_leaves_cleaning_to_others_at_once() -> None:
    driver = Driver().begin()
    driver.open(B)
    driver.do(c.Janitor, 1000)
    driver.do(c.Close, session=B)
    assert driver.ledger.janitor.session == A, "it is another's"
    driver.open(B)
    driver.do(c.Close)
    assert driver.do(c.Janitor, 500, session=B) == o.JanitorIs(B, driver.now_ms + 500)
