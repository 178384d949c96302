"""The server hands over exactly the messages, in exactly the order, that the model in memory does."""

import random
import time
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_core import CustomerPolicy, Delivery, FairDispatcher, Message, open_dispatcher

Held = tuple[Delivery, Delivery]


class Pair:
    """Does the same to both and compares what comes back."""

    def __init__(self, real: FairDispatcher, model: FairDispatcher, rng: random.Random) -> None:
        self.real, self.model, self.rng = real, model, rng
        self.customers = [f"k{number}" for number in range(rng.choice([1, 2, 3, 8, 20]))]
        self.max_cost = rng.choice([1, 5, 20, 200])
        self.published = 0
        self.held: list[Held] = []

    async def publish(self) -> None:
        batch = []
        for _ in range(self.rng.randint(1, 12)):
            self.published += 1
            cost = self.rng.randint(1, self.max_cost)
            batch.append(Message(self.rng.choice(self.customers), b"%d" % self.published, cost=cost))
        await self.real.publish(batch)
        await self.model.publish(batch)

    async def receive(self) -> None:
        wanted = self.rng.choice([1, 2, 5, 7, 15, 40])
        expected = await self.model.receive(wanted)
        got = await self.real.receive(wanted)
        # One call does a bounded amount of work, so it may bring fewer than there are.
        while len(got) < len(expected) and (more := await self.real.receive(len(expected) - len(got))):
            got += more
        assert brief(got) == brief(expected)
        self.held += zip(got, expected, strict=True)

    async def settle(self) -> None:
        self.rng.shuffle(self.held)
        count = self.rng.randint(0, len(self.held))
        some, self.held = self.held[:count], self.held[count:]
        verb = self.rng.choice(["ack", "ack", "nack", "release", "dead_letter"])
        for side, dispatcher in enumerate((self.real, self.model)):
            await getattr(dispatcher, verb)([pair[side] for pair in some])

    async def set_policy(self) -> None:
        policy = self.rng.choice(
            [None, CustomerPolicy(weight=self.rng.choice([1, 2, 5, 50])), CustomerPolicy(paused=True)]
        )
        customer = self.rng.choice(self.customers)
        for dispatcher in (self.real, self.model):
            await dispatcher.set_policy(customer, policy)

    async def purge(self) -> None:
        customer = self.rng.choice(self.customers)
        assert await self.real.purge(customer) == await self.model.purge(customer)
        self.held = [pair for pair in self.held if pair[0].customer != customer]

    async def redrive(self) -> None:
        customer = self.rng.choice(self.customers)
        real, model = [
            {
                letter.message.payload: letter.id
                for letter in await dispatcher.dead_letters(customer, limit=1000)
            }
            for dispatcher in (self.real, self.model)
        ]
        assert set(real) == set(model)
        for payload in self.rng.sample(sorted(real), self.rng.randint(0, len(real))):
            assert await self.real.redrive(customer, [real[payload]]) == 1
            assert await self.model.redrive(customer, [model[payload]]) == 1

    async def compare_backlogs(self) -> None:
        for customer in (None, *self.customers):
            assert await self.real.backlog(customer) == await self.model.backlog(customer)


def brief(deliveries: Sequence[Delivery]) -> list[tuple[str, bytes, int]]:
    return [(d.customer, d.message.payload, d.attempt) for d in deliveries]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), steps=st.integers(20, 200))
async def test_random_commands(url: str, seed: int, steps: int) -> None:
    rng = random.Random(seed)
    shared: dict[str, Any] = {
        "namespace": f"model-{seed}-{time.time_ns()}",
        "quantum": rng.choice([1, 2, 3, 7, 10]),
        "max_attempts": 3,
        "lease_seconds": 600.0,
    }
    async with (
        open_dispatcher("redis", url=url, **shared) as real,
        open_dispatcher("memory", **shared) as model,
    ):
        pair = Pair(real, model, rng)
        commands = [pair.publish] * 6 + [pair.receive] * 6 + [pair.settle] * 5
        commands += [pair.set_policy, pair.purge, pair.redrive]
        for _ in range(steps):
            await rng.choice(commands)()
        await pair.compare_backlogs()
        for customer in pair.customers:
            await model.set_policy(customer, None)
