"""Messages are leased a visit at a time, in the very order of deficit round robin one by one."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from broker_core.fairness import DeficitRoundRobin
from tests.adapters.kafka.ledger_driver import Driver

runs = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 40), st.integers(1, 25)), max_size=20)
sizes = st.lists(st.integers(1, 30), max_size=20)


def one_by_one(costs: dict[str, deque[int]], ring: DeficitRoundRobin, most: int) -> list[tuple[str, int]]:
    """Serve up to `most` messages, of which only the costs count."""
    served: list[tuple[str, int]] = []
    while len(served) < most:
        name = ring.next_customer(lambda name: costs[name][0])
        if name is None:
            break
        cost = costs[name].popleft()
        ring.charge(cost)
        if not costs[name]:
            ring.leave(name)
        served.append((name, cost))
    return served


@given(runs, sizes, st.integers(1, 30))
def test_the_order_is_that_of_one_by_one(
    published: list[tuple[str, int, int]], receives: list[int], quantum: int
) -> None:
    driver = Driver().begin(quantum=quantum)
    costs: dict[str, deque[int]] = {}
    ring = DeficitRoundRobin(quantum)
    for name, count, cost in published:
        driver.publish(name, count, cost=cost)
        costs.setdefault(name, deque()).extend([cost] * count)
        ring.join(name)
    for most in receives:
        got = [(message.customer, message.cost) for message in driver.receive(most)]
        assert got == one_by_one(costs, ring, most)
    assert driver.ledger.ring.export_state() == ring.export_state()
    assert driver.ledger.backlog().ready == sum(map(len, costs.values()))
