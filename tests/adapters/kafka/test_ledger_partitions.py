"""A customer has a partition of its own while there are any; free ones are given to others."""

from __future__ import annotations

import pytest

from broker_core.adapter import Verb
from fair_kafka.ledger import commands as c
from fair_kafka.ledger import outcomes as o
from fair_kafka.ledger.places import RESERVED_MS
from tests.adapters.kafka.ledger_driver import B, Driver, expect


def assign(driver: Driver, *customers: str, share: bool = False) -> o.Assigned:
    return expect(o.Assigned, driver.do(c.AssignPartitions, customers, share=share))


def numbers(assigned: o.Assigned) -> list[int]:
    return [place.partition for place in assigned.places if place is not None]


def test_partitions_are_wanted_in_steps_until_there_are_enough() -> None:
    driver = Driver()
    driver.open(max_partitions=20, partitions_step=8)
    assert assign(driver, *"abc") == o.Assigned((None, None, None), 8)
    assert driver.ledger.partitions_wanted == 8
    driver.do(c.PartitionsAdded, 8)
    assert driver.ledger.partitions_wanted == 0
    assert numbers(assign(driver, *"abc")) == [0, 1, 2]
    many = [f"more-{number}" for number in range(10)]
    assert assign(driver, *many).partitions_wanted == 16
    driver.do(c.PartitionsAdded, 16)
    assert len(set(numbers(assign(driver, *many)))) == 10
    assert assign(driver, *(f"most-{number}" for number in range(10))).partitions_wanted == 20


def test_a_customer_keeps_its_partition() -> None:
    driver = Driver().begin()
    place = driver.place("a")
    assert driver.place("a") == driver.ledger.place_of("a") == place
    driver.ack((driver.publish("a"), driver.receive())[1])
    assert driver.ledger.place_of("a") == place, "nobody else needed it"
    assert driver.place("a") == place


def test_the_partition_that_is_free_for_the_longest_time_is_given_to_another() -> None:
    driver = Driver().begin(partitions=2, max_partitions=2)
    driver.publish("a")
    driver.publish("b")
    b, a = sorted(driver.receive(), key=lambda message: message.customer, reverse=True)
    driver.ack([b])
    driver.ack([a])
    assert driver.place("c") == o.Place(b.ref.partition, 1)
    assert driver.ledger.place_of("b") is None
    assert driver.ledger.place_of("a") == o.Place(a.ref.partition, 0)


@pytest.mark.parametrize("state", ["ready", "leased", "delayed", "dead"])
def test_a_partition_with_a_message_in_any_state_is_not_free(state: str) -> None:
    driver = Driver().begin(partitions=1, max_partitions=1)
    driver.publish("a")
    verbs = {"delayed": Verb.NACK, "dead": Verb.DEAD_LETTER}
    if state != "ready":
        got = driver.receive()
        if state in verbs:
            driver.settle(verbs[state], got, delay_ms=100)
    assert driver.place("b") == o.Place(0, 0), "shared, since there are no others"
    assert driver.ledger.place_of("a") == o.Place(0, 0)


def test_a_publish_with_the_epoch_of_another_owner_is_refused() -> None:
    driver = Driver().begin(partitions=1, max_partitions=1)
    driver.ack((driver.publish("a"), driver.receive())[1])
    late = driver.entry("a", size=2)
    driver.place("b")
    published = driver.do(c.Publish, (late, driver.entry("b")))
    assert published == o.Published((o.Refusal.STALE, (f"{len(driver.log) - 1}-0",)))
    assert (driver.ledger.backlog("a").ready, driver.ledger.backlog("b").ready) == (0, 1)
    assert driver.do(c.Publish, (c.PublishEntry("b", 7, 0, 0, 1, 1),)) == o.Published((o.Refusal.STALE,))


def test_a_partition_is_not_taken_from_one_of_those_that_ask_together() -> None:
    driver = Driver().begin(partitions=2, max_partitions=2)
    driver.ack((driver.publish("a"), driver.receive())[1])
    kept = driver.ledger.place_of("a")
    assert kept is not None
    driver.publish("b")
    shared, own = assign(driver, "c", "a").places
    assert own == kept
    assert shared is not None
    assert shared.epoch == 0, "not taken from anybody"
    entries = (driver.entry("c"), driver.entry("a"))
    published = expect(o.Published, driver.do(c.Publish, entries))
    assert o.Refusal not in map(type, published.entries)


def test_an_assigned_partition_is_kept_for_a_minute() -> None:
    driver = Driver().begin(partitions=1, max_partitions=1)
    driver.place("a")
    driver.pass_time(RESERVED_MS - 1)
    assert driver.place("b") == o.Place(0, 0), "shared"
    assert driver.ledger.place_of("a") == o.Place(0, 0)
    driver.pass_time(RESERVED_MS)
    assert driver.place("c") == o.Place(0, 1), "taken"
    assert driver.ledger.place_of("a") is None
    assert driver.ledger.place_of("b") is None


def test_beyond_the_most_customers_share_and_leave_nothing_behind() -> None:
    driver = Driver().begin(partitions=4, max_partitions=4)
    customers = [f"c{number}" for number in range(200)]
    for customer in customers:
        driver.publish(customer)
    loads = [len(partition.owners) for partition in driver.ledger.places.partitions]
    assert sum(loads) == 200
    assert max(loads) < 2 * min(loads)
    driver.ack(driver.receive(300))
    assert len(driver.ledger.places.by_customer) <= 4
    assert len(driver.ledger.places.free) == 4
    assert not driver.ledger.places.reserved


def test_one_that_may_share_does_not_ask_for_more() -> None:
    driver = Driver().begin(partitions=1, max_partitions=10)
    driver.publish("a")
    assert assign(driver, "b").partitions_wanted == 10
    assert numbers(assign(driver, "b", share=True)) == [0]


def test_hashed_customers_always_have_the_same_partition() -> None:
    driver = Driver()
    assert driver.open(hashed_partitions=4) == o.Opened(4, 4)
    assert driver.ledger.place_of("a") is None
    assert assign(driver, "a").partitions_wanted == 4
    driver.do(c.PartitionsAdded, 4)
    customers = [f"c{number}" for number in range(100)]
    places = [driver.ledger.place_of(customer) for customer in customers]
    assert {place.partition for place in places if place} == {0, 1, 2, 3}
    for customer in customers:
        driver.publish(customer)
    driver.ack(driver.receive(200))
    assert [driver.ledger.place_of(customer) for customer in customers] == places
    assert not driver.ledger.places.by_customer


def test_the_first_session_decides_about_hashing() -> None:
    driver = Driver()
    driver.open(hashed_partitions=4)
    assert driver.open(B, hashed_partitions=0) == o.Opened(4, 4)
    driver.do(c.PartitionsAdded, 4)
    assert driver.open(B, hashed_partitions=8) == o.Opened(4, 0)
