"""B. What is nacked or released comes again, alone, and when it was told to."""

from __future__ import annotations

import asyncio
import time

import pytest

from broker_core.conformance.consuming import (
    assert_backlog,
    assert_nothing,
    collect,
    messages,
    one,
    place_of,
    take_turns,
)
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.errors import LeaseLost


class TestGivingBack:
    """Nack and release."""

    async def test_b6_a_nacked_message_comes_again_as_the_next_attempt(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Nacked together or one by one, every message comes with attempt + 1 and is otherwise the same."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(take_turns(messages("a", 5), messages("b", 5)))
        first = await collect(dispatcher, 10, deadline)
        await dispatcher.nack(first[:5], reason="together")
        for delivery in first[5:]:
            await dispatcher.nack(delivery, reason="one by one")
        second = await collect(dispatcher, 10, deadline)
        assert {delivery.attempt for delivery in second} == {2}
        assert {(one.id, one.message.payload, one.published_at) for one in second} == {
            (one.id, one.message.payload, one.published_at) for one in first
        }
        assert not {one.receipt for one in second} & {one.receipt for one in first}

    async def test_b7_a_delayed_nack_waits_and_holds_nobody_up(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """nack(delay=1) → not before 1 s, soon after; others of the same customer come meanwhile."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(messages("a", 3))
        delivery = await one(dispatcher, deadline)
        assert place_of(delivery) == 0
        before = time.monotonic()
        await dispatcher.nack(delivery, delay=1.0)
        await assert_backlog(dispatcher, "a", ready=2, delayed=1)
        others = await collect(dispatcher, 2, deadline)
        assert [place_of(other) for other in others] == [1, 2]
        await dispatcher.ack(others)
        assert time.monotonic() - before < 0.9, "the others were held up"
        again = await one(dispatcher, deadline)
        assert 1.0 <= time.monotonic() - before < 4.0
        assert (again.id, again.attempt) == (delivery.id, 2)

    async def test_b8_only_the_bad_one_returns(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Of five messages received together four are acked and one nacked: only that one comes again."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(messages("a", 5))
        five = await collect(dispatcher, 5, deadline)
        bad = five.pop(2)
        await dispatcher.ack(five)
        await dispatcher.nack(bad)
        again = await dispatcher.receive(10, wait=1)
        assert [(delivery.id, delivery.attempt) for delivery in again] == [(bad.id, 2)]
        await assert_nothing(dispatcher)

    async def test_b10_a_storm_of_nacks_loses_nothing(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Three consumers nack 100 deliveries each of 50 messages; then all 50 are acked."""
        dispatchers = [await harness.open(namespace, max_attempts=1000) for _ in range(3)]
        ids = await dispatchers[0].publish(take_turns(messages("a", 25), messages("b", 25)))

        async def nack_100(number: int) -> None:
            left = 100
            while left:
                deadline.check("100 deliveries to nack")
                deliveries = await dispatchers[number].receive(min(left, 5), wait=0.5)
                await dispatchers[number].nack(deliveries)
                left -= len(deliveries)

        await asyncio.gather(*map(nack_100, range(3)))
        last = await collect(dispatchers[0], 50, deadline)
        assert {delivery.id for delivery in last} == set(ids)
        # Each nack added one attempt and nothing else did.
        assert sum(delivery.attempt - 1 for delivery in last) == 300
        await dispatchers[0].ack(last)
        await assert_backlog(dispatchers[0])

    async def test_b11_release_restores_place_and_attempt(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """What is released is ready at its old place with its old attempt, and its receipt is void."""
        dispatcher = await harness.open(namespace, max_attempts=2)
        await dispatcher.publish(messages("a", 6))
        held = await collect(dispatcher, 4, deadline)
        for _ in range(3):  # more often than max_attempts would allow
            await dispatcher.release([held[2], held[0]])
            with pytest.raises(LeaseLost) as error:
                await dispatcher.release([held[0], held[2]])
            assert set(error.value.lost) == {held[0].receipt, held[2].receipt}
            held[0], held[2] = await collect(dispatcher, 2, deadline)
            assert [(place_of(one), one.attempt) for one in held] == [(0, 1), (1, 1), (2, 1), (3, 1)]
        await dispatcher.release(held)
        rest = await collect(dispatcher, 6, deadline)
        assert [place_of(delivery) for delivery in rest] == [0, 1, 2, 3, 4, 5]

    async def test_b11_release_keeps_the_attempts_before_it(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """A second delivery that is released comes as the second delivery again."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(messages("a", 1))
        await dispatcher.nack(await one(dispatcher, deadline))
        await dispatcher.release(await one(dispatcher, deadline))
        assert (await one(dispatcher, deadline)).attempt == 2
