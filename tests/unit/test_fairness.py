"""The order of deficit round robin, against a plain one that spins, and the promises that follow from it."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from broker_core.fairness import DeficitRoundRobin


def ring_of(quantum: int, *customers: str, weights: dict[str, int] | None = None) -> DeficitRoundRobin:
    ring = DeficitRoundRobin(quantum, lambda customer: (weights or {}).get(customer, 1))
    for customer in customers:
        ring.join(customer)
    return ring


def serve(ring: DeficitRoundRobin, hand_overs: int, cost: Callable[[str], int] = lambda _: 1) -> str:
    served = []
    for _ in range(hand_overs):
        customer = ring.next_customer(cost)
        assert customer is not None
        ring.charge(cost(customer))
        served.append(customer)
    return "".join(served)


def test_equal_customers_take_turns() -> None:
    assert serve(ring_of(1, *"abc"), 7) == "abcabca"
    assert serve(ring_of(2, *"ab"), 8) == "aabbaabb"


def test_weights_multiply_the_quantum() -> None:
    assert serve(ring_of(1, *"ab", weights={"a": 3}), 8) == "aaabaaab"


def test_an_empty_ring_names_nobody() -> None:
    ring = ring_of(1)
    assert ring.next_customer(lambda _: 1) is None
    assert len(ring) == 0


def test_the_answer_stays_the_same_until_it_is_charged() -> None:
    ring = ring_of(3, *"ab")
    assert {ring.next_customer(lambda _: 2) for _ in range(10)} == {"a"}


def test_a_visit_that_was_cut_short_goes_on_without_a_new_quantum() -> None:
    ring = ring_of(10, *"ab")
    calls = ["".join(serve(ring, 1) for _ in range(15)) for _ in range(4)]
    assert "".join(calls) == 3 * (10 * "a" + 10 * "b")


def test_a_deficit_that_is_left_counts_in_the_next_visit() -> None:
    costs = {"a": 3, "b": 4}
    assert serve(ring_of(4, *"ab"), 8, costs.__getitem__) == "ababaaba"


def test_joining_again_changes_nothing() -> None:
    ring = ring_of(4, *"ab")
    assert serve(ring, 2) == "aa"
    ring.join("a")
    assert serve(ring, 4) == "aabb"
    assert len(ring) == 2
    assert "a" in ring


def test_whoever_joins_waits_behind_those_that_are_there() -> None:
    ring = ring_of(2, *"ab")
    assert serve(ring, 1) == "a"
    ring.join("c")
    assert serve(ring, 6) == "abbcca"


def test_leaving_drops_the_credit_and_the_place() -> None:
    ring = ring_of(10, *"ab")
    assert serve(ring, 2, lambda _: 4) == "aa"
    ring.leave("a")
    ring.leave("never there")
    ring.join("a")
    # With the 2 units of before, a third message of cost 4 would follow.
    assert serve(ring, 5, lambda _: 4) == "bbaab"


def test_idle_time_earns_nothing() -> None:
    ring = ring_of(2, *"ab")
    ring.leave("a")
    assert serve(ring, 100) == 100 * "b"
    ring.join("a")
    assert serve(ring, 6) == "bbaabb"


def test_forfeiting_keeps_the_place_but_not_the_credit() -> None:
    ring = ring_of(5, *"ab")
    assert serve(ring, 2) == "aa"
    ring.forfeit("a")
    ring.forfeit("never there")
    assert serve(ring, 7) == "aaaaabb"


@given(
    weights=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    quantum=st.integers(1, 4),
    before=st.integers(0, 20),
    failed=st.integers(1, 12),
)
def test_hand_overs_that_failed_leave_the_order_as_it_was(
    weights: list[int], quantum: int, before: int, failed: int
) -> None:
    names = "abcd"[: len(weights)]
    costs = {"a": 1, "b": 2, "c": 1, "d": 3}
    rings = [ring_of(6 * quantum, *names, weights=dict(zip(names, weights, strict=True))) for _ in range(2)]
    for ring in rings:
        serve(ring, before, costs.__getitem__)
    for customer in reversed(serve(rings[0], failed, costs.__getitem__)):
        rings[0].refund(customer, costs[customer])
    assert serve(rings[0], 60, costs.__getitem__) == serve(rings[1], 60, costs.__getitem__)


def test_a_customer_that_left_with_its_last_message_is_back_in_front() -> None:
    ring = ring_of(2, *"ab")
    assert serve(ring, 1) == "a"
    ring.leave("a")
    ring.refund("a", 1)
    assert serve(ring, 5) == "abbaa"


def test_a_customer_that_may_not_be_served_leaves() -> None:
    ring = ring_of(1, *"abc")
    assert ring.next_customer(lambda customer: None if customer == "a" else 1) == "b"
    assert "a" not in ring
    assert ring.next_customer(lambda _: None) is None
    assert len(ring) == 0


def test_a_change_of_weight_counts_from_the_next_visit() -> None:
    weights = {"a": 1, "b": 1}
    ring = ring_of(2, *"ab", weights=weights)
    assert serve(ring, 1) == "a"
    weights["a"] = 3
    assert serve(ring, 9) == "abb" + 6 * "a"


def test_a_change_of_quantum_counts_from_the_next_visit() -> None:
    ring = ring_of(1, *"ab")
    assert serve(ring, 2) == "ab"
    ring.quantum = 3
    assert serve(ring, 6) == "aaabbb"


def test_rounds_in_which_nobody_can_pay_are_skipped_by_arithmetic() -> None:
    asked: list[str] = []

    def cost(customer: str) -> int:
        asked.append(customer)
        return 10_000_000 if customer < "c50" else 20_000_000

    customers = [f"c{number:02}" for number in range(100)]
    ring = ring_of(10, *customers)
    assert ring.next_customer(cost) == "c00"
    assert len(asked) <= 3 * len(customers) + 1
    asked.clear()
    for expected in (*customers[:50], *customers):
        assert ring.next_customer(cost) == expected
        ring.charge(cost(expected))
    assert len(asked) <= 10 * len(customers)


def test_a_lone_customer_gets_everything_at_any_cost() -> None:
    asked = 0

    def cost(_: str) -> int:
        nonlocal asked
        asked += 1
        return 1_000_000

    assert serve(ring_of(1, "a"), 100, cost) == 100 * "a"
    assert asked <= 500


class PlainDeficitRoundRobin:
    """The algorithm of the paper, with resumed visits, and nothing to make it fast."""

    def __init__(self, quantum: int, weights: dict[str, int]) -> None:
        self.quantum, self.weights = quantum, weights
        self.ring: list[str] = []
        self.deficit: dict[str, int] = {}
        self.visiting = False

    def join(self, customer: str) -> None:
        if customer not in self.ring:
            self.ring.append(customer)
            self.deficit[customer] = 0

    def leave(self, customer: str) -> None:
        if customer in self.ring:
            self.visiting = self.visiting and self.ring[0] != customer
            self.ring.remove(customer)

    def next_customer(self, cost: Callable[[str], int]) -> str | None:
        while self.ring:
            head = self.ring[0]
            if not self.visiting:
                self.deficit[head] += self.quantum * self.weights[head]
                self.visiting = True
            if cost(head) <= self.deficit[head]:
                return head
            self.end_visit()
        return None

    def charge(self, cost: int) -> None:
        self.deficit[self.ring[0]] -= cost
        if self.deficit[self.ring[0]] == 0:
            self.end_visit()

    def end_visit(self) -> None:
        self.visiting = False
        self.ring.append(self.ring.pop(0))


steps = st.lists(
    st.tuples(st.sampled_from(["serve"] * 6 + ["join", "leave", "weigh"]), st.integers(0, 4)), max_size=120
)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 12), st.integers(1, 200), steps, st.integers(0, 1 << 32))
def test_the_order_is_that_of_plain_deficit_round_robin(
    quantum: int, most: int, plan: list[tuple[str, int]], seed: int
) -> None:
    chance = random.Random(seed)
    customers = [f"c{number}" for number in range(5)]
    weights = {customer: chance.randint(1, 4) for customer in customers}
    costs = {customer: chance.randint(1, most) for customer in customers}
    ring = DeficitRoundRobin(quantum, weights.__getitem__)
    plain = PlainDeficitRoundRobin(quantum, weights)
    for step, number in plan:
        customer = customers[number]
        if step == "join":
            ring.join(customer)
            plain.join(customer)
        elif step == "leave":
            ring.leave(customer)
            plain.leave(customer)
        elif step == "weigh":
            weights[customer] = chance.randint(1, 4)
        else:
            served = ring.next_customer(costs.__getitem__)
            assert served == plain.next_customer(costs.__getitem__)
            if served is not None:
                ring.charge(costs[served])
                plain.charge(costs[served])
                costs[served] = chance.randint(1, most)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(1, 7), st.integers(1, 80)), min_size=2, max_size=6),
    st.integers(0, 1 << 32),
)
def test_service_over_weight_stays_within_the_bound_in_every_interval(
    quantum: int, customers: list[tuple[int, int]], seed: int
) -> None:
    chance = random.Random(seed)
    names = [str(number) for number in range(len(customers))]
    weight = dict(zip(names, (weight for weight, _ in customers), strict=True))
    most = dict(zip(names, (most for _, most in customers), strict=True))
    head = {name: chance.randint(1, most[name]) for name in names}
    ring = ring_of(quantum, *names, weights=weight)
    served = dict.fromkeys(names, 0)
    # Times wᵢ·wⱼ, to stay exact: the smallest Sᵢ/wᵢ − Sⱼ/wⱼ so far, from which an interval may begin.
    lowest = dict.fromkeys(permutations(names, 2), 0)
    for _ in range(400):
        name = ring.next_customer(head.__getitem__)
        assert name is not None
        ring.charge(head[name])
        served[name] += head[name]
        head[name] = chance.randint(1, most[name])
        for i, j in lowest:
            difference = served[i] * weight[j] - served[j] * weight[i]
            bound = quantum * weight[i] * weight[j] + most[i] * weight[j] + most[j] * weight[i]
            assert difference - lowest[i, j] <= bound
            lowest[i, j] = min(lowest[i, j], difference)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(1, 7), st.integers(1, 80)), min_size=1, max_size=6),
    st.integers(0, 60),
    st.tuples(st.integers(1, 5), st.integers(1, 100)),
    st.integers(0, 1 << 32),
)
def test_who_becomes_ready_waits_for_a_bounded_time(
    quantum: int,
    customers: list[tuple[int, int]],
    before: int,
    newcomer: tuple[int, int],
    seed: int,
) -> None:
    chance = random.Random(seed)
    names = [str(number) for number in range(len(customers))]
    weights = {name: weight for name, (weight, _) in zip(names, customers, strict=True)}
    most = {name: most for name, (_, most) in zip(names, customers, strict=True)}
    weights["new"], cost = newcomer
    head = {name: chance.randint(1, most[name]) for name in names} | {"new": cost}
    ring = ring_of(quantum, *names, weights=weights)

    def hand_over() -> str:
        name = ring.next_customer(head.__getitem__)
        assert name is not None
        ring.charge(head[name])
        return name

    for _ in range(before):
        name = hand_over()
        head[name] = chance.randint(1, most[name])
    ring.join("new")
    visits = -(-cost // (weights["new"] * quantum))
    longest = visits * sum(weights[name] * quantum for name in names) + sum(most.values())
    waited = 0
    while (name := hand_over()) != "new":
        waited += head[name]
        head[name] = chance.randint(1, most[name])
        assert waited <= longest


def test_a_ring_that_is_restored_goes_on_in_the_same_order() -> None:
    costs = {"a": 3, "b": 4, "c": 1}
    for hand_overs in range(12):
        ring = ring_of(4, *"abc", weights={"c": 2})
        serve(ring, hand_overs, costs.__getitem__)
        state = ring.export_state()
        restored = ring_of(4, weights={"c": 2})
        restored.restore_state(*state)
        assert restored.export_state() == state
        assert serve(restored, 30, costs.__getitem__) == serve(ring, 30, costs.__getitem__)
