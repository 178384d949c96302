"""A (customer, Message.id) is stored once within its window, whoever publishes it."""

from __future__ import annotations

from fair_kafka.ledger import commands as c
from fair_kafka.ledger import outcomes as o
from fair_kafka.ledger.dedup import dedup_key
from tests.adapters.kafka.ledger_driver import B, Driver, ids


def test_a_known_key_gives_the_first_id() -> None:
    driver = Driver().begin(dedup_window_ms=1000)
    driver.open(B, dedup_window_ms=1000)
    (first,) = driver.publish("a", keys=["k"])
    driver.ack(driver.receive())
    assert driver.do(c.Publish, (driver.entry("a", keys=["k"]),), session=B) == o.Published(((first,),))
    assert driver.ledger.backlog().ready == 0
    assert driver.publish("b", keys=["k"]) != [first], "another customer's key is another key"


def test_a_run_stores_what_is_new_in_it() -> None:
    driver = Driver().begin()
    known = driver.publish("a", 2, keys=["k1", "k4"])
    driver.receive()
    stored = driver.publish("a", 6, keys=["k0", "k1", "k2", "k3", "k4", "k2"])
    offset = len(driver.log) - 1
    fresh = [f"{offset}-{index}" for index in range(3)]
    assert stored == [fresh[0], known[0], fresh[1], fresh[2], known[1], fresh[1]]
    got = driver.receive()
    assert ids(got) == fresh
    assert [message.ref.offset for message in got] == [2, 4, 5], "each with the record of its own"


def test_a_key_is_forgotten_at_the_end_of_its_window() -> None:
    driver = Driver().begin(dedup_window_ms=1000)
    first = driver.publish("a", keys=["k"])
    driver.pass_time(999)
    assert driver.publish("a", keys=["k"]) == first
    driver.pass_time(1)
    assert len(driver.ledger.dedup) == 0
    assert driver.publish("a", keys=["k"]) != first


def test_each_session_has_its_window() -> None:
    driver = Driver().begin(dedup_window_ms=0)
    driver.open(B, dedup_window_ms=500)
    assert driver.publish("a", keys=["k"]) != driver.publish("a", keys=["k"])
    assert len(driver.ledger.dedup) == 0
    driver.do(c.Publish, (driver.entry("a", keys=["k"]),), session=B)
    assert len(driver.ledger.dedup) == 1


def test_what_is_known_needs_no_place() -> None:
    driver = Driver().begin(partitions=1, max_partitions=1)
    known = driver.publish("a", keys=["k"])
    driver.ack(driver.receive())
    both = driver.entry("a", 2, keys=["k", "new"])
    again = driver.entry("a", keys=["k"])
    driver.place("b")  # which takes the partition
    published = driver.do(c.Publish, (both, again))
    assert published == o.Published((o.Refusal.STALE, tuple(known)))
    assert driver.ledger.backlog().ready == 0


def test_keys_do_not_run_into_each_other() -> None:
    assert dedup_key("a", "bc") != dedup_key("ab", "c")
    assert dedup_key("a", "") != dedup_key("", "a")
    assert len(dedup_key("ü", "ß")) == c.KEY_BYTES
