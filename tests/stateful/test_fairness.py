"""The fairness bound holds on a server in every interval, whatever weights, costs, calls and consumers."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st

from broker_core.dispatcher import FairDispatcher
from broker_core.model import CustomerPolicy, Delivery, Message
from fair_redis_streams.adapter import RedisStreamsAdapter
from fair_redis_streams.settings import RedisStreamsSettings
from tests.faults.options import seed_of
from tests.servers.redis_local import LocalRedis

MOST_CONSUMERS = 4
MESSAGES = 60
_examples = itertools.count()


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer and the largest cost of its messages."""

    name: str
    weight: int
    most: int


@dataclass(frozen=True, slots=True)
class Call:
    """One receive, and how its deliveries end: keep holds them until the end."""

    consumer: int
    count: int
    ends: str


calls = st.lists(
    st.builds(
        Call,
        st.integers(0, MOST_CONSUMERS - 1),
        st.integers(1, 25),
        st.sampled_from(["ack", "ack", "keep", "nack", "release"]),
    ),
    min_size=10,
    max_size=60,
)
several_customers = st.lists(st.tuples(st.integers(1, 7), st.integers(1, 40)), min_size=2, max_size=6)


class Drift:
    """Checks |Sᵢ/wᵢ − Sⱼ/wⱼ| ≤ q + Cᵢ/wᵢ + Cⱼ/wⱼ in every interval that ends now; in whole numbers."""

    def __init__(self, quantum: int, customers: Sequence[Customer]) -> None:
        self._quantum = quantum
        self._served: Counter[str] = Counter()
        # The smallest wⱼSᵢ − wᵢSⱼ so far, from which an interval may begin.
        self._lowest = dict.fromkeys(permutations(customers, 2), 0)

    def serve(self, name: str, cost: int) -> None:
        self._served[name] += cost
        for (i, j), lowest in self._lowest.items():
            distance = self._served[i.name] * j.weight - self._served[j.name] * i.weight
            bound = self._quantum * i.weight * j.weight + i.most * j.weight + j.most * i.weight
            assert distance - lowest <= bound, f"{i} is ahead of {j} by {distance - lowest}, not {bound}"
            self._lowest[i, j] = min(lowest, distance)


async def serve(
    dispatchers: Sequence[FairDispatcher], quantum: int, customers: Sequence[Customer], plan: Sequence[Call]
) -> int:
    """Make the calls while all customers have something ready; return how many hand-overs counted."""
    drift, kept, checked = Drift(quantum, customers), list[Delivery](), 0
    ready = Counter({one.name: MESSAGES for one in customers})
    for call in plan:
        dispatcher = dispatchers[call.consumer]
        got = await dispatcher.receive(call.count)
        ready.subtract(one.customer for one in got)
        if min(ready.values()) == 0:
            break  # somebody has left the ring, so that the bound no longer counts
        assert got, "a receive was empty while messages were ready"
        for one in got:
            drift.serve(one.customer, one.message.cost)
        checked += len(got)
        if call.ends == "keep":
            kept += got
            continue
        await getattr(dispatcher, call.ends)(got)
        if call.ends != "ack":
            ready.update(one.customer for one in got)
    await dispatchers[0].ack(kept)
    for customer in customers:
        await dispatchers[0].purge(customer.name)
        await dispatchers[0].set_policy(customer.name, None)
    return checked


async def check(url: str, quantum: int, customers: Sequence[Customer], plan: Sequence[Call], key: int) -> int:
    chance = random.Random(key)
    loaded = RedisStreamsSettings.load(
        url=url, namespace=f"q{os.getpid()}-{next(_examples)}", quantum=quantum, max_attempts=1000
    )
    dispatchers = [FairDispatcher(RedisStreamsAdapter(loaded), loaded) for _ in range(MOST_CONSUMERS)]
    try:
        for dispatcher in dispatchers:
            await dispatcher.open()
        for one in customers:
            await dispatchers[0].set_policy(one.name, CustomerPolicy(weight=one.weight))
        batch = [
            Message(one.name, b"", cost=chance.randint(1, one.most))
            for one in customers
            for _ in range(MESSAGES)
        ]
        await dispatchers[0].publish(batch)
        return await serve(dispatchers, quantum, customers, plan)
    finally:
        for dispatcher in dispatchers:
            await dispatcher.close()


@pytest.mark.timeout(900)
def test_the_bound_holds_in_every_interval(server: LocalRedis, pytestconfig: pytest.Config) -> None:
    short = pytestconfig.getoption("--conformance-size") == "short"
    checked = 0

    @settings(
        max_examples=50 if short else 300,
        derandomize=short,
        database=None,
        deadline=None,
        print_blob=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.integers(1, 20), several_customers, calls, st.integers(0, 1 << 32))
    def holds(quantum: int, kinds: list[tuple[int, int]], plan: list[Call], key: int) -> None:
        nonlocal checked
        customers = [Customer(f"c{place}", *kind) for place, kind in enumerate(kinds)]
        note(f"{quantum=} {customers=} {plan=} {key=}")
        checked += asyncio.run(check(server.url, quantum, customers, plan, key))

    if not short:
        chosen = seed_of(pytestconfig)
        print(f"--fault-seed={chosen}")
        holds = seed(chosen)(holds)
    holds()
    assert checked > 500, "hardly anything was looked at"
