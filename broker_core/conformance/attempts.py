"""D. Deliveries are counted, and the last one is the last."""

from __future__ import annotations

import pytest

from broker_core.conformance.consuming import assert_backlog, assert_nothing, collect, messages, one
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.requirements import requires


class TestAttempts:
    """max_attempts, by every way in which an attempt can end."""

    @pytest.mark.parametrize("max_attempts", [1, 3])
    async def test_d1_there_are_exactly_max_attempts_deliveries(
        self, harness: Harness, namespace: str, deadline: Deadline, max_attempts: int
    ) -> None:
        """Nacked each time, a message is delivered max_attempts times and is then a dead letter."""
        dispatcher = await harness.open(namespace, max_attempts=max_attempts)
        await dispatcher.publish(messages("a", 2))
        for attempt in range(1, max_attempts + 1):
            deliveries = await collect(dispatcher, 2, deadline)
            assert {delivery.attempt for delivery in deliveries} == {attempt}
            await assert_backlog(dispatcher, "a", leased=2)
            await dispatcher.nack(deliveries, reason=f"failure {attempt}")
        await assert_nothing(dispatcher, seconds=0.2)
        await assert_backlog(dispatcher, "a", dead=2)
        dead = await dispatcher.dead_letters("a")
        assert {(letter.attempts, letter.reason) for letter in dead} == {
            (max_attempts, f"failure {max_attempts}")
        }

    async def test_d1_a_delay_does_not_save_the_last_attempt(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """nack(delay) of the last delivery buries the message at once."""
        dispatcher = await harness.open(namespace, max_attempts=1)
        await dispatcher.publish(messages("a", 1))
        await dispatcher.nack(await one(dispatcher, deadline), delay=60, reason="late")
        await assert_backlog(dispatcher, dead=1)

    @requires("attempts")
    async def test_d1_nack_and_expiry_are_counted_together(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """An expired lease is an attempt like a nacked one; a released one is none."""
        dispatcher = await harness.open(namespace, lease_seconds=0.3, max_attempts=3)
        await dispatcher.publish(messages("a", 1))
        await dispatcher.nack(await one(dispatcher, deadline))
        assert (await one(dispatcher, deadline)).attempt == 2  # left to expire
        third = await one(dispatcher, deadline)
        assert third.attempt == 3
        await dispatcher.release(third)
        third = await one(dispatcher, deadline)
        assert third.attempt == 3
        await dispatcher.nack(third)
        await assert_nothing(dispatcher, seconds=0.5)
        await assert_backlog(dispatcher, dead=1)

    async def test_d9_attempts_are_counted_for_each_message_alone(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Failures of one message of a customer leave the attempts of its others alone."""
        dispatcher = await harness.open(namespace, max_attempts=10)
        await dispatcher.publish(messages("a", 3))
        for attempt in range(1, 4):
            deliveries = await collect(dispatcher, 3, deadline)
            assert sorted(delivery.attempt for delivery in deliveries) == [1, 1, attempt]
            bad = max(deliveries, key=lambda delivery: (delivery.attempt, delivery.message.payload == b"1"))
            await dispatcher.nack(bad)
            await dispatcher.release([delivery for delivery in deliveries if delivery is not bad])
