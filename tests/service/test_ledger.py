"""The books of the demo know every message by name."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from broker_core import Delivery, Message
from fair_dispatcher.demo.handover import HandOver
from fair_dispatcher.demo.ledger import CustomerWaits, Ledger, Waits, jain_index
from fair_dispatcher.demo.scenario import Event, Plan, Scenario, make_scenario
from fair_dispatcher.demo.traffic import Arrival, generate

NOW = datetime(2024, 5, 1, tzinfo=UTC)


def test_a_hand_over_is_known_by_the_headers_of_its_message() -> None:
    def told(message: Message) -> HandOver:
        return HandOver.of(Delivery(message, "1-0", 1, NOW, NOW, "receipt"))

    message = event(17).message("run", "somebody")
    assert told(message)[:2] == ("run", 17)
    assert told(Message("acme"))[:2] == ("", -1)
    assert told(Message("acme", headers={"demo-index": "no number"}))[:2] == ("", -1)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def event(
    index: int, customer: str = "acme", due: float = 0.0, cost: int = 1, *, flooder: bool = False
) -> Event:
    return Event(index, due, customer, flooder, Arrival(0.0, customer, "text", {"kind": "otp"}, cost))


def hand_over(ledger: Ledger, events: Iterable[Event], run: str = "run", at: float = 0.0) -> None:
    for one in events:
        ledger.hand_over(HandOver(run, one.index, at))


def test_nothing_is_lost_or_doubled_when_each_comes_once() -> None:
    events = [event(index) for index in range(5)]
    ledger = Ledger("run", events)
    ledger.arrive(events)
    hand_over(ledger, reversed(events))
    assert (ledger.lost, ledger.duplicated, ledger.foreign) == (0, 0, 0)
    assert ledger.complete.is_set()


def test_what_did_not_come_is_lost_though_others_came_twice() -> None:
    events = [event(index) for index in range(4)]
    ledger = Ledger("run", events)
    ledger.arrive(events)
    hand_over(ledger, [events[0], events[1], events[1], events[1]])
    assert (ledger.lost, ledger.duplicated, ledger.handed_over) == (2, 2, 2)
    assert not ledger.complete.is_set()


def test_messages_of_another_run_are_foreign() -> None:
    events = [event(0)]
    ledger = Ledger("run", events)
    hand_over(ledger, events, run="another")
    ledger.hand_over(HandOver("", -1, 0.0))
    assert (ledger.foreign, ledger.lost) == (2, 1)


def test_waits_count_from_the_due_time_and_are_kept_apart() -> None:
    clock = Clock()
    events = [event(0, due=1.0), event(1, due=2.0), event(2, "flooder", due=2.0, flooder=True)]
    ledger = Ledger("run", events, clock)
    clock.now += 50.0
    ledger.start_clock()
    ledger.arrive(events)
    hand_over(ledger, events[2:], at=157.0)
    hand_over(ledger, events[:2], at=153.0)
    assert ledger.waits(flooder=False) == Waits(1.0, 2.0, 2.0)
    assert ledger.waits(flooder=True) == Waits(5.0, 5.0, 5.0)
    assert ledger.seconds == 7.0


def test_waits_by_customer_are_in_order_of_arrival() -> None:
    events = [event(0, "a"), event(1, "b"), event(2, "a"), event(3, "f", flooder=True), event(4, "c")]
    ledger = Ledger("run", events, lambda: 0.0)
    for index in (2, 1, 0, 3):
        hand_over(ledger, [events[index]], at=float(10 - index))
    assert ledger.waits_by_customer() == [
        CustomerWaits("a", False, [10.0, 8.0]),
        CustomerWaits("b", False, [9.0]),
        CustomerWaits("f", True, [7.0]),
    ]


def test_the_snapshot_counts_customers_that_wait() -> None:
    events = [event(0, "a"), event(1, "a"), event(2, "b"), event(3, "c")]
    ledger = Ledger("run", events)
    ledger.arrive(events[:3])
    hand_over(ledger, [events[0], events[2]])
    snapshot = ledger.snapshot()
    assert (snapshot.total, snapshot.arrived, snapshot.handed_over) == (4, 3, 2)
    assert snapshot.customers_waiting == 1


def test_shares_are_the_cost_of_the_first_half() -> None:
    events = [event(0, "a", cost=2), event(1, "a", cost=3), event(2, "b", cost=5), event(3, "b", cost=7)]
    ledger = Ledger("run", events)
    for at, index in ((4.0, 3), (2.0, 2), (3.0, 1), (1.0, 0)):  # told in another order than they were made
        hand_over(ledger, [events[index]], at=at)
    assert ledger.shares_of_first_half() == [2, 5]


@pytest.mark.parametrize(
    ("shares", "index"), [([3, 3, 3], 1.0), ([1, 0, 0, 0], 0.25), ([1, 1, 0, 0], 0.5), ([0, 0], 1.0)]
)
def test_jain_index(shares: list[float], index: float) -> None:
    assert jain_index(shares) == pytest.approx(index)


def test_percentiles_are_nearest_ranks() -> None:
    assert Waits.of([]) == Waits(0, 0, 0)
    assert Waits.of([4.0]) == Waits(4.0, 4.0, 4.0)
    assert Waits.of(reversed(range(101))) == Waits(50, 99, 100)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return make_scenario(Plan(messages=900, burst=50, equal_customers=3, equal_messages=7), generate(1, 900))


def test_traffic_leaves_the_consumers_room(scenario: Scenario) -> None:
    assert len(scenario.quiet) / scenario.seconds == pytest.approx(0.45 * Plan().capacity_per_second)
    assert [one.due for one in scenario.quiet] == sorted(one.due for one in scenario.quiet)
    assert scenario.quiet[-1].due <= scenario.seconds


def test_the_burst_is_one_customer_at_a_third(scenario: Scenario) -> None:
    assert {(one.due, one.flooder) for one in scenario.burst} == {(scenario.seconds / 3, True)}
    assert len({one.customer for one in scenario.burst}) == 1
    assert not any(one.flooder for one in scenario.quiet)


def test_indices_are_places(scenario: Scenario) -> None:
    assert [one.index for one in [*scenario.quiet, *scenario.burst]] == list(range(950))
    assert [one.index for one in scenario.equal] == list(range(21))


def test_equal_customers_publish_the_same_one_after_the_other(scenario: Scenario) -> None:
    assert [one.customer for one in scenario.equal] == ["equal-01"] * 7 + ["equal-02"] * 7 + ["equal-03"] * 7
    first, second = scenario.equal[:7], scenario.equal[7:14]
    assert [one.arrival for one in first] == [one.arrival for one in second]
