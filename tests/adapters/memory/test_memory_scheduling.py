"""Who is next: the order that the other adapters are compared with."""

from __future__ import annotations

from broker_core import CustomerPolicy
from broker_core.adapter import Verb
from tests.adapters.memory.stage import Stage

PAUSED = CustomerPolicy(paused=True)


def test_customers_take_turns() -> None:
    stage = Stage(quantum=1)
    stage.publish(*"aabbcc")
    assert "".join(stage.order(1) for _ in range(6)) == "abcabc"


def test_a_visit_goes_on_in_the_next_call() -> None:
    stage = Stage(quantum=10)
    stage.publish(*("ab" * 30))
    assert "".join(stage.order(15) for _ in range(4)) == 3 * (10 * "a" + 10 * "b")


def test_a_change_of_weight_counts_for_the_backlog_too() -> None:
    stage = Stage(quantum=1)
    stage.publish(*("ab" * 20))
    assert stage.order(4) == "abab"
    stage.broker.set_policy("b", CustomerPolicy(weight=3))
    assert stage.order(8) == "abbbabbb"
    stage.broker.set_policy("b", None)
    assert stage.order(4) == "abab"


def test_first_deliveries_come_in_the_order_of_publishing() -> None:
    stage = Stage(quantum=3)
    ids = stage.publish(*("a" * 20))
    assert [delivery.id for _ in range(4) for delivery in stage.receive(5)] == ids


def test_what_comes_back_goes_first_in_the_order_of_publishing() -> None:
    stage = Stage()
    ids = stage.publish(*("a" * 6))
    got = stage.receive(4)
    stage.settle(Verb.NACK, [got[3]], delay=5)
    stage.settle(Verb.RELEASE, [got[2]])
    stage.settle(Verb.NACK, [got[0]])
    stage.now += 30  # the delay is over, and the lease of the second has ended
    assert [delivery.id for delivery in stage.receive()] == ids


def test_what_is_redriven_goes_to_the_tail() -> None:
    stage = Stage()
    ids = stage.publish(*"aaa")
    stage.settle(Verb.DEAD_LETTER, stage.receive(2))
    stage.broker.end_dead_letters("a", None, stage.settings, redrive=True)
    got = stage.receive()
    assert [delivery.id for delivery in got] == [ids[2], ids[0], ids[1]]
    stage.settle(Verb.RELEASE, got)
    assert [delivery.id for delivery in stage.receive()] == ids


def test_who_has_nothing_ready_leaves_at_once_and_joins_at_the_tail() -> None:
    stage = Stage(quantum=5)
    stage.publish(*"abc")
    assert stage.order(1) == "a"
    stage.publish("a")
    assert stage.order() == "bca"


def test_time_brings_expired_leases_first_then_delays_both_by_their_times() -> None:
    stage = Stage(quantum=1)
    stage.publish(*"abcd")
    (a, b, c, d) = stage.receive()
    stage.broker.extend([a.receipt], 20)
    stage.broker.extend([b.receipt], 10)
    stage.settle(Verb.NACK, [c], delay=6)
    stage.settle(Verb.NACK, [d], delay=5)
    stage.now += 20
    stage.publish("e")
    assert stage.order() == "ebadc"


def test_entries_of_one_time_come_by_id() -> None:
    stage = Stage(quantum=1)
    stage.publish(*"abc")
    got = stage.receive()
    stage.settle(Verb.NACK, [got[2], got[0], got[1]], delay=5)
    stage.now += 5
    assert stage.order() == "abc"


def test_a_paused_customer_waits_without_hindering_and_joins_at_the_tail() -> None:
    stage = Stage(quantum=1)
    stage.publish(*("abc" * 4))
    stage.broker.set_policy("a", PAUSED)
    assert stage.order(4) == "bcbc"
    stage.publish("a")
    assert stage.order(3) == "bcb"
    stage.broker.set_policy("a", CustomerPolicy(paused=False))
    assert stage.order() == "caaaaa"
    assert stage.backlog("a") == (0, 5, 0, 0)


def test_a_pause_that_ended_before_its_turn_came_was_none() -> None:
    stage = Stage(quantum=1)
    stage.publish(*"ab")
    stage.broker.set_policy("a", PAUSED)
    stage.broker.set_policy("a", None)
    assert stage.order() == "ab"


def test_pausing_drops_the_credit() -> None:
    stage = Stage(quantum=10)
    stage.publish(*("a" * 20), *"bb")
    assert stage.order(5) == "aaaaa"
    stage.broker.set_policy("a", PAUSED)
    assert stage.order(1) == "b"
    stage.broker.set_policy("a", None)
    assert stage.order() == "b" + 15 * "a"


def test_a_customer_that_was_purged_keeps_its_place_but_no_credit() -> None:
    stage = Stage(quantum=2)
    stage.publish(*"aaaabb")
    assert stage.order(1) == "a"
    stage.broker.purge("a")
    stage.publish(*"aaa")
    assert stage.order() == "aabba"


def test_recovered_messages_of_one_do_not_delay_another() -> None:
    stage = Stage(quantum=10)
    stage.publish(*("a" * 1000))
    assert len(stage.receive(1000)) == 1000
    stage.now += 30
    assert stage.order(5) == "aaaaa"
    stage.publish("b")
    assert "b" in stage.order(6)


def test_costs_above_the_quantum_are_paid_over_several_rounds() -> None:
    stage = Stage(quantum=10, max_cost=1000)
    stage.publish(*"aa", cost=30)
    stage.publish(*("b" * 8), cost=10)
    assert stage.order() == "bbabbbabbb"


def test_a_quantum_is_that_of_the_caller() -> None:
    stage = Stage(quantum=1)
    stage.publish(*("ab" * 6))
    assert stage.order(2) == "ab"
    stage.settings = stage.settings.model_copy(update={"quantum": 3})
    assert stage.order(6) == "aaabbb"
