"""Any commands, crashes, expiries and cancellations have the same effect on Redis as in the model."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from broker_core.model import CustomerPolicy, Message
from tests.faults.options import seed_of
from tests.servers.redis_local import LocalRedis
from tests.stateful.pair import Held, Pair

T = TypeVar("T")

CUSTOMERS = ("a", "b", "c", "d")
CONSUMERS = 2
VERBS = ("ack", "ack", "nack", "release", "dead_letter")

_examples = itertools.count()
places = st.integers(0, 1000)
consumers = st.integers(0, CONSUMERS - 1)
customers = st.sampled_from(CUSTOMERS)
counts = st.integers(1, 12)


class Commands(RuleBasedStateMachine):
    """Drives a Pair; each rule is one command to both of its sides."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._published = 0
        self._pair: Pair | None = None

    @property
    def pair(self) -> Pair:
        assert self._pair is not None
        return self._pair

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    @initialize(quantum=st.sampled_from([1, 2, 3, 10]))
    def begin(self, quantum: int) -> None:
        self._pair = Pair(self.url, f"s{os.getpid()}-{next(_examples)}", quantum, CONSUMERS)
        self.run(self._pair.open())

    def _some(self, picks: list[int], among: list[Held]) -> list[Held]:
        chosen = {place % len(among): None for place in picks} if among else {}
        return [among[place] for place in chosen]

    @rule(parts=st.lists(st.tuples(customers, st.integers(1, 8), st.integers(0, 3)), min_size=1, max_size=8))
    def publish(self, parts: list[tuple[str, int, int]]) -> None:
        batch = []
        for customer, cost, key in parts:
            self._published += 1
            # Key 0 is none: most messages have no key.
            message_id = f"key-{key}" if key else None
            payload = b"keyed" if key else b"%d" % self._published
            batch.append(Message(customer, payload, id=message_id, cost=1 if key else cost))
        self.run(self.pair.publish(batch))

    @rule(count=counts, who=consumers)
    def receive(self, count: int, who: int) -> None:
        self.run(self.pair.receive(count, who))

    @precondition(lambda self: self.pair.held)
    @rule(verb=st.sampled_from(VERBS), picks=st.lists(places, min_size=1, max_size=6), who=consumers)
    def settle(self, verb: str, picks: list[int], who: int) -> None:
        arguments = {"reason": "why"} if verb in {"nack", "dead_letter"} else {}
        self.run(self.pair.settle(verb, self._some(picks, self.pair.held), who, **arguments))

    @precondition(lambda self: self.pair.held)
    @rule(pick=places, who=consumers, ends=st.booleans())
    def delay(self, pick: int, who: int, ends: bool) -> None:
        self.run(self.pair.delay(self._some([pick], self.pair.held)[0], who, ends=ends))

    @precondition(lambda self: self.pair.stale)
    @rule(
        verb=st.sampled_from([*VERBS, "extend"]),
        picks=st.lists(places, min_size=1, max_size=4),
        fresh=st.lists(places, max_size=2),
        who=consumers,
    )
    def settle_with_void_receipts(self, verb: str, picks: list[int], fresh: list[int], who: int) -> None:
        some = self._some(picks, self.pair.stale) + self._some(fresh, self.pair.held)
        self.run(self.pair.settle(verb, some, who))

    @precondition(lambda self: self.pair.outlived())
    @rule(verb=st.sampled_from([*VERBS, "extend"]), pick=places, who=consumers)
    def settle_as_the_old_owner(self, verb: str, pick: int, who: int) -> None:
        self.run(self.pair.settle(verb, self._some([pick], self.pair.outlived()), who))

    @precondition(lambda self: self.pair.held)
    @rule(pick=places)
    def expire(self, pick: int) -> None:
        (one,) = self._some([pick], self.pair.held)
        self.run(self.pair.let_leases_end(one.customer))

    @rule()
    def receive_and_die(self) -> None:
        self.run(self.pair.receive_and_die())

    @rule(who=consumers)
    def crash(self, who: int) -> None:
        self.run(self.pair.crash(who))

    @rule(who=consumers)
    def leave(self, who: int) -> None:
        self.run(self.pair.leave(who))

    @rule(count=counts, who=consumers, cancelled=st.booleans())
    def lose_an_answer(self, count: int, who: int, cancelled: bool) -> None:
        self.run(self.pair.lose_an_answer(count, who, cancelled=cancelled))

    @rule(who=consumers, turns=st.integers(0, 30))
    def cancel_idle_receive(self, who: int, turns: int) -> None:
        self.run(self._receive_everything(who))
        self.run(self.pair.cancel_idle_receive(who, turns))

    async def _receive_everything(self, who: int) -> None:
        while await self.pair.receive(100, who):
            pass

    @rule(
        customer=customers,
        policy=st.none()
        | st.builds(CustomerPolicy, weight=st.sampled_from([1, 2, 5]))
        | st.just(CustomerPolicy(paused=True)),
    )
    def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:
        self.run(self.pair.set_policy(customer, policy))

    @rule(customer=customers)
    def purge(self, customer: str) -> None:
        self.run(self.pair.purge(customer))

    @rule(customer=customers, pick=places)
    def redrive(self, customer: str, pick: int) -> None:
        letters = self.run(self.pair.dead_letters(customer))
        if letters:
            self.run(self.pair.redrive(letters[pick % len(letters)]))

    @rule(customer=customers)
    def purge_dead_letters(self, customer: str) -> None:
        self.run(self.pair.purge_dead_letters(customer))

    @invariant()
    def same_totals(self) -> None:
        if self._pair is not None:
            self.run(self.pair.compare_totals())

    def teardown(self) -> None:
        try:
            if self._pair is not None:
                self.run(self._finish())
        finally:
            if self._pair is not None:
                self.run(self.pair.close())
            self._runner.close()

    async def _finish(self) -> None:
        """Compare all that can be seen, then finish everything, in the same order too."""
        pair = self.pair
        await pair.compare_customers(CUSTOMERS)
        await pair.compare_listings()
        for customer in CUSTOMERS:
            await pair.set_policy(customer, None)
        await pair.settle("ack", list(pair.held), 0)
        while got := await pair.receive(7, 0):
            await pair.settle("ack", got, 0)
        for customer in CUSTOMERS:
            await pair.purge(customer)
            await pair.purge_dead_letters(customer)
        await pair.compare_customers(CUSTOMERS)
        assert await pair.residue() == []


@pytest.mark.timeout(1800)
def test_same_as_the_model(server: LocalRedis, pytestconfig: pytest.Config) -> None:
    """The same commands in each short run; in a longer one others each time, with the seed printed."""
    short = pytestconfig.getoption("--conformance-size") == "short"

    class OnServer(Commands):
        url = server.url

    if not short:
        chosen = seed_of(pytestconfig)
        print(f"--fault-seed={chosen}")
        seed(chosen)(OnServer)
    run_state_machine_as_test(
        OnServer,
        settings=settings(
            max_examples=30 if short else 300,
            stateful_step_count=50 if short else 80,
            derandomize=short,
            database=None,
            deadline=None,
            print_blob=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


async def test_a_lone_customer_keeps_what_it_saved_for_a_costly_message(server: LocalRedis) -> None:
    """What comes back in front of the costly one is cheap, and its visit is cut short."""
    pair = Pair(server.url, f"lone{os.getpid()}", 1, CONSUMERS)
    await pair.open()
    try:
        costs = [("b", 1), ("a", 1), ("a", 1), ("a", 1), ("b", 3), ("c", 1)]
        await pair.publish(
            [Message(name, b"%d" % place, cost=cost) for place, (name, cost) in enumerate(costs)]
        )
        await pair.receive(5, 0)
        await pair.let_leases_end("b")
        await pair.receive(1, 0)
        await pair.let_leases_end("a")
        assert len(await pair.receive(7, 1)) == 4
    finally:
        await pair.close()
