"""Whatever is done in whatever order, each message is in one place, and who is ready is served fairly."""

from __future__ import annotations

import random
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broker_core import CustomerPolicy, Delivery, Message
from broker_core.adapter import Verb
from tests.adapters.memory.stage import Stage

CUSTOMERS = ("a", "b", "c")
MAX_ATTEMPTS = 3
customers = st.sampled_from(CUSTOMERS)


class Life(RuleBasedStateMachine):
    """Keeps its own books of what exists, who holds it and how often it was handed over."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(max_attempts=MAX_ATTEMPTS, dedup_window=0, quantum=3)
        self.customer_of: dict[str, str] = {}
        self.attempts: dict[str, int] = {}
        self.held: dict[str, tuple[Delivery, float]] = {}
        self.delayed: dict[str, float] = {}
        self.dead: set[str] = set()
        self.paused: set[str] = set()

    def forget(self, message_id: str) -> None:
        del self.customer_of[message_id], self.attempts[message_id]
        self.held.pop(message_id, None)
        self.delayed.pop(message_id, None)
        self.dead.discard(message_id)

    def pass_time(self) -> None:
        now = self.stage.now
        self.delayed = {one: due for one, due in self.delayed.items() if due > now}
        for message_id in [one for one, (_, end) in self.held.items() if end <= now]:
            del self.held[message_id]
            if self.attempts[message_id] >= MAX_ATTEMPTS:
                self.dead.add(message_id)

    def ready(self) -> set[str]:
        return set(self.customer_of) - set(self.held) - set(self.delayed) - self.dead

    @rule(customer=customers, cost=st.integers(1, 10))
    def publish(self, customer: str, cost: int) -> None:
        (message_id,) = self.stage.publish(customer, cost=cost)
        assert message_id not in self.customer_of
        self.customer_of[message_id] = customer
        self.attempts[message_id] = 0

    @rule(most=st.integers(1, 6))
    def receive(self, most: int) -> None:
        got = self.stage.receive(most)
        self.pass_time()
        allowed = {one for one in self.ready() if self.customer_of[one] not in self.paused}
        assert len(got) == min(most, len(allowed))
        for delivery in got:
            assert delivery.id in allowed
            self.attempts[delivery.id] += 1
            assert delivery.attempt == self.attempts[delivery.id]
            assert delivery.customer == self.customer_of[delivery.id]
            self.held[delivery.id] = (delivery, delivery.lease_until.timestamp())
        assert len({delivery.id for delivery in got}) == len(got)

    @rule(verb=st.sampled_from(list(Verb)), data=st.data(), delay=st.sampled_from([0.0, 5.0, 40.0]))
    def settle(self, verb: Verb, data: st.DataObject, delay: float) -> None:
        if not self.held:
            return
        message_id = data.draw(st.sampled_from(sorted(self.held)))
        delivery, _ = self.held[message_id]
        assert self.stage.settle(verb, [delivery], delay) == []
        assert self.stage.settle(Verb.NACK, [delivery]) == [delivery.receipt]
        del self.held[message_id]
        if verb is Verb.ACK:
            self.forget(message_id)
        elif verb is Verb.RELEASE:
            self.attempts[message_id] -= 1
        elif verb is Verb.DEAD_LETTER or self.attempts[message_id] >= MAX_ATTEMPTS:
            self.dead.add(message_id)
        elif delay:
            self.delayed[message_id] = self.stage.now + delay

    @rule(seconds=st.sampled_from([1.0, 5.0, 30.0, 45.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.stage.now += seconds
        self.stage.backlog()
        self.pass_time()

    @rule(customer=customers)
    def redrive(self, customer: str) -> None:
        mine = {one for one in self.dead if self.customer_of[one] == customer}
        count = self.stage.broker.end_dead_letters(customer, None, self.stage.settings, redrive=True)
        assert count == len(mine)
        for message_id in mine:
            self.dead.remove(message_id)
            self.attempts[message_id] = 0

    @rule(customer=customers)
    def purge(self, customer: str) -> None:
        gone = [one for one, owner in self.customer_of.items() if owner == customer and one not in self.dead]
        assert self.stage.broker.purge(customer) == len(gone)
        for message_id in gone:
            self.forget(message_id)

    @rule(customer=customers, paused=st.booleans())
    def pause(self, customer: str, paused: bool) -> None:
        self.stage.broker.set_policy(customer, CustomerPolicy(paused=paused, weight=2))
        (self.paused.add if paused else self.paused.discard)(customer)

    @invariant()
    def every_message_is_in_exactly_one_state(self) -> None:
        expected = (len(self.ready()), len(self.held), len(self.delayed), len(self.dead))
        assert self.stage.backlog() == expected
        for customer in CUSTOMERS:
            assert sum(self.stage.backlog(customer)) == sum(
                owner == customer for owner in self.customer_of.values()
            )


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(1, 7), st.integers(1, 40)), min_size=2, max_size=5),
    st.lists(st.integers(1, 25), min_size=1, max_size=5),
    st.integers(0, 1 << 32),
)
def test_service_is_fair_in_every_interval_whatever_the_batches(
    quantum: int, shares: list[tuple[int, int]], batches: list[int], seed: int
) -> None:
    chance = random.Random(seed)
    stage = Stage(quantum=quantum)
    names = [str(number) for number in range(len(shares))]
    weight = {name: weight for name, (weight, _) in zip(names, shares, strict=True)}
    most = {name: most for name, (_, most) in zip(names, shares, strict=True)}
    for name in names:
        stage.broker.set_policy(name, CustomerPolicy(weight=weight[name]))

    def top_up() -> None:
        short = [Message(name, cost=chance.randint(1, most[name])) for name in names for _ in range(30)]
        chance.shuffle(short)
        stage.broker.publish(short, stage.settings)

    served = dict.fromkeys(names, 0)
    lowest = dict.fromkeys(permutations(names, 2), 0)
    for call in range(20):
        top_up()
        got = stage.receive(batches[call % len(batches)])
        for delivery in got:
            served[delivery.customer] += delivery.message.cost
            for i, j in lowest:
                difference = served[i] * weight[j] - served[j] * weight[i]
                bound = quantum * weight[i] * weight[j] + most[i] * weight[j] + most[j] * weight[i]
                assert difference - lowest[i, j] <= bound
                lowest[i, j] = min(lowest[i, j], difference)
        # What comes back is served by the same schedule.
        stage.settle(chance.choice([Verb.ACK, Verb.NACK, Verb.RELEASE]), got)
