"""Receives wait in the ledger, are revoked, and are fair; leases end by the clock of the log."""

from __future__ import annotations

import pytest

from broker_core.adapter import Verb
from broker_core.model import CustomerPolicy
from fair_kafka.ledger import commands as c
from fair_kafka.ledger import outcomes as o
from fair_kafka.ledger.receipts import held_of
from tests.adapters.kafka.ledger_driver import A, B, Driver, expect, ids


def wait(driver: Driver, count: int = 10, wait_ms: int = 1000, session: int = A) -> c.Receive:
    """Append a receive that finds nothing."""
    command = c.Receive(session, driver.sequence(session), count, 30_000, wait_ms)
    assert driver.append(command) == []
    return command


def received(answers: list[o.Answer], command: c.Receive) -> list[str] | None:
    for session, sequence, outcome in answers:
        if (session, sequence) == (command.session, command.sequence):
            return ids(expect(o.Received, outcome).messages)
    return None


def publish(driver: Driver, customer: str, size: int = 1) -> list[o.Answer]:
    entry = driver.entry(customer, size)
    return driver.append(c.Publish(A, driver.sequence(), (entry,)))


def test_a_receive_without_a_wait_answers_at_once() -> None:
    driver = Driver().begin()
    assert driver.receive() == []
    assert len(driver.ledger.waiters) == 0


def test_who_waits_longest_is_answered_by_the_command_that_brings_something() -> None:
    driver = Driver().begin()
    driver.open(B)
    driver.place("a")
    first, second = wait(driver), wait(driver, session=B)
    answers = publish(driver, "a", 3)
    assert received(answers, first) == [f"{len(driver.log) - 1}-{index}" for index in range(3)]
    assert received(answers, second) is None
    answers = publish(driver, "a")
    assert received(answers, second) == [f"{len(driver.log) - 1}-0"]


def test_what_one_leaves_goes_to_the_next() -> None:
    driver = Driver().begin()
    driver.place("a")
    first, second, third = wait(driver, 2), wait(driver, 2), wait(driver, 2)
    answers = publish(driver, "a", 3)
    assert [len(received(answers, one) or ()) for one in (first, second, third)] == [2, 1, 0]
    assert [waiter.receive for waiter in driver.ledger.waiters] == [third]


def test_a_wait_ends_with_nothing() -> None:
    driver = Driver().begin()
    command = wait(driver, wait_ms=500)
    assert driver.ledger.next_due_ms() == driver.now_ms + 500
    assert received(driver.pass_time(499), command) is None
    assert received(driver.pass_time(1), command) == []
    assert driver.ledger.next_due_ms() is None
    driver.place("a")
    assert received(publish(driver, "a"), command) is None
    assert driver.ledger.backlog().ready == 1


@pytest.mark.parametrize("way", ["lease ends", "delay ends", "release", "redrive", "no longer paused"])
def test_a_waiting_receive_gets_whatever_becomes_ready(way: str) -> None:
    driver = Driver().begin()
    published = driver.publish("a")
    got = driver.receive(lease_ms=100)
    if way == "delay ends":
        driver.settle(Verb.NACK, got, delay_ms=100)
    elif way == "redrive":
        driver.settle(Verb.DEAD_LETTER, got)
    elif way == "no longer paused":
        driver.do(c.SetPolicy, "a", CustomerPolicy(paused=True))
        driver.settle(Verb.RELEASE, got)
    command = wait(driver)
    if way in {"lease ends", "delay ends"}:
        assert driver.ledger.next_due_ms() == driver.now_ms + 100
        answers = driver.pass_time(100)
    else:
        later: dict[str, c.Command] = {
            "release": c.Settle(A, driver.sequence(), Verb.RELEASE, held_of([got[0].receipt])),
            "redrive": c.EndDeadLetters(A, driver.sequence(), "a", None, redrive=True),
            "no longer paused": c.SetPolicy(A, driver.sequence(), "a", None),
        }
        answers = driver.append(later[way])
    assert received(answers, command) == published


def test_the_lease_of_a_waiting_receive_begins_when_it_is_answered() -> None:
    driver = Driver().begin()
    driver.place("a")
    wait(driver)
    driver.now_ms += 700
    (_, outcome) = [answer.outcome for answer in publish(driver, "a")]
    assert expect(o.Received, outcome).lease_until_ms == driver.now_ms + 30_000


def test_a_waiting_receive_that_is_revoked_takes_nothing() -> None:
    driver = Driver().begin()
    command = wait(driver)
    assert driver.do(c.Revoke, command.sequence) == o.Revoked(0, waiting=True)
    driver.publish("a")
    assert driver.ledger.backlog().ready == 1


def test_what_a_revoked_receive_took_comes_back_without_an_attempt() -> None:
    driver = Driver().begin()
    driver.publish("a", 3)
    acked, revoked = driver.receive(2)
    sequence = driver.sequences[A]
    (kept,) = driver.receive()
    driver.ack([acked])
    assert driver.do(c.Revoke, sequence) == o.Revoked(1, waiting=False)
    assert driver.ack([revoked]) == [revoked.receipt]
    assert [(message.id, message.attempt) for message in driver.receive()] == [(revoked.id, 1)]
    assert driver.ack([kept]) == []


def test_a_receive_that_comes_after_its_revocation_takes_nothing() -> None:
    driver = Driver().begin()
    driver.publish("a")
    late = c.Receive(A, driver.sequence(), 10, 30_000)
    assert driver.do(c.Revoke, late.sequence) == o.Revoked(0, waiting=False)
    assert driver.append(late) == [o.Answer(A, late.sequence, o.Duplicate())]
    assert driver.ledger.backlog().ready == 1


def test_receipts_are_fresh_for_each_hand_over() -> None:
    driver = Driver().begin()
    driver.publish("a")
    receipts = []
    for _ in range(3):
        got = driver.receive()
        receipts += [message.receipt for message in got]
        driver.settle(Verb.RELEASE, got)
    assert len(set(receipts)) == 3


def test_a_lease_ends_at_its_time_and_not_before() -> None:
    driver = Driver().begin()
    driver.publish("a")
    (got,) = driver.receive(lease_ms=1000)
    driver.pass_time(999)
    assert driver.ledger.backlog().leased == 1
    driver.pass_time(1)
    assert driver.ledger.backlog().ready == 1
    assert driver.ack([got]) == [got.receipt]
    (again,) = driver.receive()
    assert (again.id, again.attempt) == (got.id, 2)
    assert driver.settle(Verb.DEAD_LETTER, [got]) == [got.receipt]
    assert driver.ack([again]) == []
    assert driver.ack([again, got]) == [], "an ack of a message that is gone succeeds"
    assert driver.settle(Verb.RELEASE, [again]) == [again.receipt]


@pytest.mark.parametrize("verb", list(Verb))
def test_the_receipt_of_an_ended_lease_is_void_for_the_same_dispatcher_too(verb: Verb) -> None:
    driver = Driver().begin()
    driver.publish("a")
    (old,) = driver.receive(lease_ms=100)
    driver.pass_time(100)
    (new,) = driver.receive()
    assert driver.settle(verb, [old]) == [old.receipt]
    assert driver.do(c.Extend, held_of([old.receipt]), 1) == o.Extended(driver.now_ms + 1, (old.receipt,))
    assert driver.do(c.Undecodable, held_of([old.receipt])) == o.Settled((old.receipt,))
    driver.pass_time(1)
    assert driver.ack([new]) == []


def test_time_never_goes_back() -> None:
    driver = Driver().begin()
    driver.pass_time(1000)
    driver.now_ms -= 500
    driver.publish("a")
    (got,) = driver.receive(lease_ms=100)
    assert got.published_ms == driver.now_ms + 500
    driver.pass_time(100)
    assert driver.ledger.backlog().leased == 1


def test_the_last_attempt_that_expires_is_the_end() -> None:
    driver = Driver().begin(max_attempts=2)
    driver.publish("a")
    for _ in range(2):
        driver.receive(lease_ms=10)
        driver.pass_time(10)
    (letter,) = driver.ledger.dead_letters_page(None, 10, None)
    assert (letter.attempts, letter.reason) == (2, "lease expired on the last attempt")
    assert letter.died_ms == driver.now_ms


def test_undecodable_messages_die_without_an_attempt() -> None:
    driver = Driver().begin()
    driver.publish("a", 2)
    bad, good = driver.receive()
    held = held_of([bad.receipt])
    assert driver.do(c.Undecodable, held) == o.Settled(())
    assert driver.do(c.Undecodable, held) == o.Settled((bad.receipt,))
    (letter,) = driver.ledger.dead_letters_page("a", 10, None)
    assert (letter.id, letter.attempts, letter.reason) == (bad.id, 0, "undecodable entry")
    assert driver.ack([good]) == []


def test_customers_share_by_weight_and_cost() -> None:
    driver = Driver().begin(quantum=2)
    driver.do(c.SetPolicy, "b", CustomerPolicy(weight=2))
    for customer in "ab":
        driver.publish(customer, 10)
    driver.publish("c", 10, cost=2)
    order = "".join(message.customer for message in driver.receive(14))
    assert order == "aabbbbc" * 2


def test_a_purged_customer_keeps_its_place_but_no_credit() -> None:
    driver = Driver().begin(quantum=3)
    for customer in "ab":
        driver.publish(customer, 6)
    assert [message.customer for message in driver.receive(1)] == ["a"]
    driver.do(c.Purge, "a")
    driver.publish("a", 6)
    assert "".join(message.customer for message in driver.receive(7)) == "aaabbba"


def test_a_paused_customer_waits_and_blocks_nobody() -> None:
    driver = Driver().begin()
    driver.publish("a")
    driver.publish("b")
    driver.do(c.SetPolicy, "a", CustomerPolicy(paused=True))
    assert [message.customer for message in driver.receive()] == ["b"]
    assert len(driver.ledger.ring) == 0
    driver.do(c.SetPolicy, "a", CustomerPolicy(paused=False))
    assert [message.customer for message in driver.receive()] == ["a"]
