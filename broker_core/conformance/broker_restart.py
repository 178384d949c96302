"""I. The broker's process is killed and comes back; nothing that was confirmed is lost."""

from __future__ import annotations

import asyncio

import pytest

from broker_core.conformance.consuming import assert_backlog, collect, messages, running
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.requirements import requires
from broker_core.conformance.sizes import Size
from broker_core.conformance.stubbornness import (
    again_and_again,
    consume_stubbornly,
    publish_stubbornly,
    settle_stubbornly,
    with_ids,
)
from broker_core.model import Message


# Some brokers take long to come back.
@pytest.mark.deadline(150)
@pytest.mark.timeout(180)
class TestBrokerRestart:
    """The broker's process is killed and comes back."""

    @requires("restartable", "dedup")
    async def test_i1_confirmed_messages_survive_restarts(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """Killed at 1/3 and 1/2 of the messages under traffic: every confirmed id is received.

        Allowed duplicates: what consumers held, or received without hearing of it, when the broker died.
        """
        count = size.pick(short=3000, full=10_000)
        batch = with_ids(count)
        publisher = await harness.open(namespace)
        consumers = [await harness.open(namespace, lease_seconds=2) for _ in range(3)]
        recorder = Recorder()
        confirmed: list[str] = []

        async def publish(until: int) -> None:
            while len(confirmed) < until:
                part = batch[len(confirmed) : len(confirmed) + 50]
                confirmed.extend(await publish_stubbornly(publisher, part, deadline))

        async with running(
            consume_stubbornly(consumer, recorder, str(place), deadline)
            for place, consumer in enumerate(consumers)
        ):
            publishing = asyncio.ensure_future(publish(count))
            for part in (3, 2):
                await deadline.until(lambda part=part: len(confirmed) >= count // part, "messages")  # type: ignore[misc]
                await harness.restart_broker()
            await publishing
            await deadline.until(lambda: set(recorder.ids) >= set(confirmed), "every confirmed message")
        recorder.check(confirmed, duplicates_allowed=2 * 3 * 20)

    @requires("restartable")
    async def test_i1_no_state_loses_anything_by_a_restart(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Delayed and dead messages are after a restart what they were, leased ones are leased or ready."""
        dispatcher = await harness.open(namespace, lease_seconds=300)
        await dispatcher.publish(messages("a", 10))
        held = await collect(dispatcher, 4, deadline)
        await dispatcher.nack(held[0], delay=60)
        await dispatcher.dead_letter(held[1], reason="no")
        await harness.restart_broker()

        async def all_there() -> bool:
            now = await again_and_again(lambda: dispatcher.backlog("a"), deadline)
            return (now.ready + now.leased, now.delayed, now.dead) == (8, 1, 1)

        await deadline.until(all_there, "all ten messages")
        left = 8 - await settle_stubbornly(lambda: dispatcher.ack(held[2]), deadline)
        left -= await settle_stubbornly(lambda: dispatcher.ack(held[3]), deadline)
        await dispatcher.ack(await collect(dispatcher, left, deadline))
        await assert_backlog(dispatcher, "a", delayed=1, dead=1)

    @requires("restartable", "lease_enforced_by")
    async def test_i1_every_state_survives_a_restart(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Ready, leased, delayed and dead messages are after a restart what they were before."""
        dispatcher = await harness.open(namespace, lease_seconds=300)
        await dispatcher.publish(messages("a", 10))
        held = await collect(dispatcher, 4, deadline)
        await dispatcher.nack(held[0], delay=60)
        await dispatcher.dead_letter(held[1], reason="no")
        before = await dispatcher.backlog("a")
        await harness.restart_broker()
        assert await again_and_again(lambda: dispatcher.backlog("a"), deadline) == before
        await dispatcher.ack(held[2])
        await dispatcher.release(held[3])
        await dispatcher.ack(await collect(dispatcher, 7, deadline))
        await assert_backlog(dispatcher, "a", delayed=1, dead=1)

    @requires("restartable")
    async def test_i1_a_waiting_receive_outlives_a_restart(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """A receive that waits while the broker restarts gets what is published afterwards."""
        consumer, publisher = [await harness.open(namespace) for _ in range(2)]
        waiting = asyncio.ensure_future(consumer.receive(10, wait=30))
        await asyncio.sleep(0.1)
        await harness.restart_broker()
        (message_id,) = await publish_stubbornly(publisher, [Message("a", id="key")], deadline)
        assert [delivery.id for delivery in await asyncio.wait_for(waiting, deadline.remaining)] == [
            message_id
        ]
