"""Dead letters are listed in pages, kept for their time, and redriven with their id."""

from __future__ import annotations

import pytest

from broker_core.adapter import Verb
from broker_core.errors import InvalidArgument
from broker_core.model import Backlog
from fair_kafka.ledger import commands as c
from fair_kafka.ledger import outcomes as o
from tests.adapters.kafka.ledger_driver import B, Driver, ids


def bury(driver: Driver, customer: str, size: int = 1, reason: str = "why") -> list[str]:
    driver.publish(customer, size)
    got = driver.receive()
    driver.settle(Verb.DEAD_LETTER, got, reason=reason)
    return ids(got)


def test_pages_come_in_the_order_of_deaths() -> None:
    driver = Driver().begin()
    dead = [*bury(driver, "b", 2), *bury(driver, "a", 3)]
    seen: list[str] = []
    cursor = None
    while True:
        page = driver.ledger.dead_letters_page(None, 2, cursor)
        seen += [letter.id for letter in page]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == dead
    assert [letter.id for letter in driver.ledger.dead_letters_page("a", 10, None)] == dead[2:]
    assert driver.ledger.dead_letters_page("nobody", 10, None).items == []
    assert driver.ledger.dead_letters_page("a", 3, None).cursor is None


@pytest.mark.parametrize("cursor", ["", "death:", "death:x", "death:-1", "customer:a", "death:٣"])
def test_other_cursors_are_refused(cursor: str) -> None:
    with pytest.raises(InvalidArgument):
        Driver().begin().ledger.dead_letters_page(None, 10, cursor)
    if not cursor.startswith("customer:"):
        with pytest.raises(InvalidArgument):
            Driver().begin().ledger.customers_page(10, cursor)


def test_a_redriven_message_begins_anew_at_the_tail() -> None:
    driver = Driver().begin(max_attempts=2)
    (dead,) = bury(driver, "a")
    behind = driver.publish("a")
    assert driver.do(c.EndDeadLetters, "a", None, redrive=True) == o.Counted(1)
    got = driver.receive()
    assert [(message.id, message.attempt) for message in got] == [(behind[0], 1), (dead, 1)]
    driver.settle(Verb.NACK, got[1:])
    (again,) = driver.receive()
    assert (again.id, again.attempt) == (dead, 2)
    driver.settle(Verb.NACK, [again], reason="still bad")
    (letter,) = driver.ledger.dead_letters_page("a", 10, None)
    assert (letter.attempts, letter.reason) == (2, "still bad")


def test_only_the_chosen_ones_of_the_customer_end() -> None:
    driver = Driver().begin()
    bury(driver, "a", 3)
    bury(driver, "b")
    letters = driver.ledger.dead_letters_page(None, 10, None).items
    chosen = (letters[1].serial, letters[3].serial, 12345)
    assert driver.do(c.EndDeadLetters, "a", chosen, redrive=False) == o.Counted(1)
    assert [letter.id for letter in driver.ledger.dead_letters_page(None, 10, None)] == [
        letter.id for letter in (letters[0], letters[2], letters[3])
    ]
    assert driver.do(c.EndDeadLetters, "a", None, redrive=False) == o.Counted(2)
    assert driver.ledger.backlog() == Backlog(dead=1)


def test_they_are_kept_for_their_retention() -> None:
    driver = Driver().begin(dead_letter_retention_ms=1000)
    bury(driver, "a", 2)
    assert driver.ledger.next_due_ms() == driver.now_ms + 1000
    driver.pass_time(999)
    assert driver.ledger.backlog() == Backlog(dead=2)
    driver.pass_time(1)
    assert driver.ledger.backlog() == Backlog()
    assert driver.ledger.customers == {}


def test_the_shortest_retention_of_those_that_are_there_counts() -> None:
    driver = Driver().begin(dead_letter_retention_ms=1000)
    driver.open(B, dead_letter_retention_ms=100)
    bury(driver, "a")
    assert driver.ledger.next_due_ms() == driver.now_ms + 100
    driver.do(c.Close, session=B)
    assert driver.ledger.next_due_ms() == driver.now_ms + 1000
    driver.pass_time(500)
    driver.open(B, dead_letter_retention_ms=100)
    assert driver.ledger.backlog() == Backlog()


def test_a_purge_leaves_them() -> None:
    driver = Driver().begin()
    bury(driver, "a")
    driver.publish("a", 5)
    leased, delayed = driver.receive(2)
    driver.settle(Verb.NACK, [delayed], delay_ms=100)
    assert driver.do(c.Purge, "a") == o.Counted(5)
    assert driver.ledger.backlog() == driver.ledger.backlog("a") == Backlog(dead=1)
    assert driver.ack([leased]) == []
    assert driver.settle(Verb.RELEASE, [leased]) == [leased.receipt]
    assert driver.do(c.Purge, "nobody") == o.Counted(0)
