"""Any commands, repetitions, expiries and snapshots have the same effect in a ledger as in the model."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from broker_core.adapter import Verb
from broker_core.model import CustomerPolicy
from tests.adapters.kafka.ledger_driver import A, B
from tests.adapters.kafka.ledger_pair import Both, Pair

CUSTOMERS = ("a", "b", "c", "d", "e")

places = st.integers(0, 1000)
sessions = st.sampled_from([A, B])
customers = st.sampled_from(CUSTOMERS)
parts = st.tuples(customers, st.integers(1, 30), st.sampled_from([None, None, "k", "l"]), st.integers(1, 6))


class Commands(RuleBasedStateMachine):
    """Drives a Pair; each rule is a command to both of its sides."""

    partitions: ClassVar[tuple[int, int]] = (8, 0)

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(1, *self.partitions)

    @initialize(quantum=st.sampled_from([1, 2, 3, 10]))
    def begin(self, quantum: int) -> None:
        self.pair = Pair(quantum, *self.partitions)

    def _some(self, picks: list[int], among: list[Both]) -> list[Both]:
        chosen = {place % len(among): None for place in picks} if among else {}
        return [among[place] for place in chosen]

    @rule(batch=st.lists(parts, min_size=1, max_size=6))
    def publish(self, batch: list[tuple[str, int, str | None, int]]) -> None:
        self.pair.publish(
            [(customer, cost, key) for customer, cost, key, count in batch for _ in range(count)]
        )

    @rule(count=st.integers(1, 15), session=sessions)
    def receive(self, count: int, session: int) -> None:
        self.pair.receive(count, session)

    @rule(count=st.integers(1, 15), session=sessions)
    def lose_an_answer(self, count: int, session: int) -> None:
        self.pair.lose_an_answer(count, session)

    @precondition(lambda self: self.pair.held)
    @rule(
        verb=st.sampled_from([Verb.ACK, *Verb]),
        picks=st.lists(places, min_size=1, max_size=8),
        session=sessions,
        delay_ms=st.sampled_from([0, 0, 5, 20]),
    )
    def settle(self, verb: Verb, picks: list[int], session: int, delay_ms: int) -> None:
        some = self._some(picks, self.pair.held)
        self.pair.settle(verb, some, session, delay_ms, "why" if delay_ms else "")

    @precondition(lambda self: self.pair.stale)
    @rule(
        verb=st.sampled_from(list(Verb)),
        picks=st.lists(places, min_size=1, max_size=4),
        fresh=st.lists(places, max_size=2),
        session=sessions,
    )
    def settle_with_void_receipts(self, verb: Verb, picks: list[int], fresh: list[int], session: int) -> None:
        some = self._some(picks, self.pair.stale) + self._some(fresh, self.pair.held)
        self.pair.settle(verb, some, session)

    @rule(picks=st.lists(places, min_size=1, max_size=4), lease_ms=st.integers(1, 60))
    def extend(self, picks: list[int], lease_ms: int) -> None:
        self.pair.extend(self._some(picks, self.pair.held + self.pair.stale), lease_ms)

    @rule(ms=st.sampled_from([1, 1, 5, 20, 40]))
    def pass_time(self, ms: int) -> None:
        self.pair.pass_time(ms)
        self.pair.drop_ended()

    @rule(
        customer=customers,
        policy=st.none()
        | st.builds(CustomerPolicy, weight=st.sampled_from([1, 2, 5]))
        | st.just(CustomerPolicy(paused=True)),
    )
    def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:
        self.pair.set_policy(customer, policy)

    @rule(customer=customers)
    def purge(self, customer: str) -> None:
        self.pair.purge(customer)
        self.pair.drop_ended()

    @rule(customer=customers, pick=st.none() | places, redrive=st.booleans())
    def end_dead_letters(self, customer: str, pick: int | None, redrive: bool) -> None:
        self.pair.end_dead_letters(customer, pick, redrive=redrive)

    @rule(back=st.integers(0, 20))
    def repeat(self, back: int) -> None:
        self.pair.repeat(back)

    @rule()
    def restore(self) -> None:
        self.pair.restore()

    @invariant()
    def same(self) -> None:
        self.pair.compare(CUSTOMERS)

    def teardown(self) -> None:
        pair = self.pair
        pair.compare_replica()
        for customer in CUSTOMERS:
            pair.set_policy(customer, None)
        for both in list(pair.held):
            pair.settle(Verb.ACK, [both], A)
        pair.pass_time(100_000)
        while got := pair.receive(7, B):
            pair.settle(Verb.ACK, got, B)
        for customer in CUSTOMERS:
            pair.end_dead_letters(customer, None, redrive=False)
        pair.receive(1, A)
        pair.assert_empty()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("partitions", [(8, 0), (2, 0), (1, 3)], ids=["own", "shared", "hashed"])
def test_same_as_the_model(partitions: tuple[int, int], pytestconfig: pytest.Config) -> None:
    short = pytestconfig.getoption("--conformance-size") == "short"

    class OnPartitions(Commands):
        pass

    OnPartitions.partitions = partitions
    run_state_machine_as_test(
        OnPartitions,
        settings=settings(
            max_examples=40 if short else 400,
            stateful_step_count=50 if short else 100,
            derandomize=short,
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
