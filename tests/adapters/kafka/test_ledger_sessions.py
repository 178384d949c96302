"""A command counts once, however often and in whatever order it comes."""

from __future__ import annotations

import random

import pytest

from broker_core.adapter import Verb
from broker_core.model import Backlog
from fair_kafka.ledger import commands as c
from fair_kafka.ledger import outcomes as o
from fair_kafka.ledger.sessions import FORGOTTEN_AFTER_MS, MOST_OUT_OF_ORDER
from fair_kafka.ledger.state import Ledger
from tests.adapters.kafka.ledger_driver import A, B, Driver, ids


def test_a_second_copy_changes_nothing() -> None:
    driver = Driver().begin()
    command = c.Publish(A, driver.sequence(), (driver.entry("a"),))
    (first,) = driver.append(command)
    assert isinstance(first.outcome, o.Published)
    assert driver.append(command) == [o.Answer(A, command.sequence, o.Duplicate())]
    assert driver.ledger.backlog().ready == 1


def test_commands_may_overtake_each_other() -> None:
    driver = Driver().begin()
    driver.place("a")
    commands = [c.Publish(A, driver.sequence(), (driver.entry("a"),)) for _ in range(100)]
    random.Random(5).shuffle(commands)
    for command in commands:
        driver.append(command)
    assert driver.ledger.backlog().ready == 100
    session = driver.ledger.sessions.get(A)
    assert session is not None
    assert (session.floor, session.beyond) == (driver.sequences[A], set())


def test_a_gap_does_not_grow_for_ever() -> None:
    driver = Driver().begin()
    lost = driver.sequence()
    for _ in range(MOST_OUT_OF_ORDER):
        driver.do(c.Tick)
    session = driver.ledger.sessions.get(A)
    assert session is not None
    assert not session.knows(lost)
    driver.do(c.Tick)
    assert session.knows(lost)
    assert (session.floor, session.beyond) == (driver.sequences[A], set())
    assert driver.append(c.Tick(A, lost)) == [o.Answer(A, lost, o.Duplicate())]


def test_a_session_that_was_not_opened_is_told_so() -> None:
    driver = Driver().begin()
    assert driver.do(c.Tick, session=B) == o.UnknownSession()
    driver.open(B)
    assert driver.do(c.Tick, session=B) == o.Done()
    assert driver.do(c.Close, session=B) == o.Done()
    assert driver.do(c.Tick, session=B) == o.UnknownSession()


def test_sessions_that_are_silent_for_an_hour_are_forgotten_with_their_waiting_receives() -> None:
    driver = Driver().begin()
    driver.open(B)
    driver.append(c.Receive(B, driver.sequence(B), 1, 1000, 2 * FORGOTTEN_AFTER_MS))
    driver.pass_time(FORGOTTEN_AFTER_MS - 1)
    assert driver.ledger.sessions_alive(FORGOTTEN_AFTER_MS) == [B, A]
    assert driver.ledger.sessions_alive(1) == [A]
    driver.pass_time(1)
    assert [number for number, _ in driver.ledger.sessions] == [A]
    assert len(driver.ledger.waiters) == 0
    assert driver.do(c.Tick, session=B) == o.UnknownSession()


def test_leases_outlive_their_session() -> None:
    driver = Driver().begin()
    driver.open(B, max_attempts=1)
    driver.publish("a")
    (got,) = driver.receive(lease_ms=100, session=B)
    driver.do(c.Close, session=B)
    assert driver.ledger.backlog() == Backlog(leased=1)
    driver.pass_time(100)
    assert driver.ledger.backlog() == Backlog(dead=1), "its own limit of attempts counts"
    assert driver.settle(Verb.RELEASE, [got]) == [got.receipt]


def test_any_dispatcher_may_settle_what_another_received() -> None:
    driver = Driver().begin()
    driver.open(B)
    driver.publish("a", 2)
    got = driver.receive(session=B)
    assert driver.ack(got) == []
    assert driver.ledger.backlog() == Backlog()


@pytest.mark.parametrize("listener", [None, A, B, 1])
def test_answers_go_to_the_listener_only(listener: int | None) -> None:
    driver = Driver(Ledger(listener))
    driver.append(c.Open(A, 1, 10, 3, 0, 1000, 10), c.Open(B, 1, 10, 3, 0, 1000, 10))
    answers = driver.append(
        c.PartitionsAdded(A, 2, 4),
        c.AssignPartitions(B, 2, ("a",)),
        c.Receive(B, 3, 1, 1000, 1000),
        c.Publish(A, 4, (c.PublishEntry("a", 0, 0, 0, 1, 1),)),
        c.Receive(A, 5, 1, 1000),
    )
    expected = [(A, 2), (B, 2), (A, 4), (B, 3), (A, 5)]
    assert [answer[:2] for answer in answers] == [
        (session, sequence) for session, sequence in expected if listener in (None, session)
    ]


def test_a_record_that_was_applied_already_is_skipped() -> None:
    driver = Driver().begin()
    driver.publish("a")
    for record in list(driver.log):
        assert driver.ledger.apply_record(*record) == []
    assert driver.ledger.backlog().ready == 1


def test_ids_are_unique_over_all_commands_of_a_record() -> None:
    driver = Driver().begin()
    first, second = driver.entry("a", 2), driver.entry("b", 2)
    commands = [c.Publish(A, driver.sequence(), (entry,)) for entry in (first, second)]
    driver.append(*commands)
    offset = len(driver.log) - 1
    assert sorted(ids(driver.receive())) == [f"{offset}-{index}" for index in range(4)]
