"""C. A lease ends by time, is renewed, and its message goes to another."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest

from broker_core.conformance.consuming import (
    assert_backlog,
    assert_nothing,
    collect,
    consume_for_ever,
    messages,
    one,
    publish_all,
    running,
)
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.sizes import Size
from broker_core.errors import LeaseLost


class TestCrashAndExpiry:
    """Leases that end without their owner."""

    async def test_c1_an_expired_lease_goes_to_another(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Not acked: another consumer gets it with attempt 2 after the lease, not before, and soon."""
        first = await harness.open(namespace, lease_seconds=0.7)
        second = await harness.open(namespace, lease_seconds=0.7)
        await first.publish(messages("a", 1))
        held = await one(first, deadline)
        before = time.monotonic()
        received = await second.receive(10, wait=min(10, deadline.remaining))
        assert time.monotonic() - before < 3.0
        assert len(received) == 1
        recovered = received[0]
        assert (recovered.id, recovered.attempt) == (held.id, 2)
        # By the broker's clock: the second hand-over came when the first lease had ended.
        assert recovered.lease_until - timedelta(seconds=0.7) >= held.lease_until
        await second.ack(recovered)
        await assert_backlog(second)

    async def test_c3_extending_keeps_a_lease(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Work that lasts many leases under a greedy second consumer is delivered once."""
        worker = await harness.open(namespace, lease_seconds=0.5)
        greedy = await harness.open(namespace, lease_seconds=0.5)
        await worker.publish(messages("a", 3))
        held = await collect(worker, 3, deadline)
        recorder = Recorder()
        async with running([consume_for_ever(greedy, recorder, "greedy")]):
            ends = [delivery.lease_until for delivery in held]
            for _ in range(10):  # 1.5 seconds
                await asyncio.sleep(0.15)
                renewed = await worker.extend(held)
                assert all(new >= old for new, old in zip(renewed, ends, strict=True))
                assert all(end.utcoffset() == timedelta(0) for end in renewed)
                ends = renewed
        assert len(recorder) == 0
        await worker.ack(held)
        await assert_backlog(worker)

    async def test_c3_extend_sets_the_end_that_was_asked_for(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """extend(seconds) counts from now, for the deliveries that were named only; it may shorten too."""
        dispatcher = await harness.open(namespace, lease_seconds=60)
        await dispatcher.publish(messages("a", 4))
        held = await collect(dispatcher, 4, deadline)
        (later,) = await dispatcher.extend(held[0], 600)
        assert timedelta(seconds=530) < later - held[0].lease_until < timedelta(seconds=545)
        sooner = await dispatcher.extend(held[1:3], 0.2)
        assert len(sooner) == 2
        assert max(sooner) < held[1].lease_until
        again = await collect(dispatcher, 2, deadline)
        assert {delivery.id for delivery in again} == {held[1].id, held[2].id}
        await assert_nothing(dispatcher, seconds=0.3)
        await dispatcher.ack([held[0], held[3]])

    async def test_c4_extending_a_lost_lease_fails(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """After the message went to another, extend raises LeaseLost and the other's lease is unchanged."""
        first, second = [await harness.open(namespace, lease_seconds=0.3) for _ in range(2)]
        await first.publish(messages("a", 1))
        held = await one(first, deadline)
        await second.extend(await one(second, deadline), 1.0)
        with pytest.raises(LeaseLost):
            await first.extend(held, 60)
        assert (await one(first, deadline)).attempt == 3  # so the second lease ended, unextended

    async def test_c8_quick_work_is_never_redelivered(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """While all look for expired leases all the time, work quicker than its lease stays single."""
        dispatchers = [await harness.open(namespace, lease_seconds=2) for _ in range(3)]
        count = size.pick(short=1500, full=20_000)
        recorder = Recorder()

        async def look(number: int) -> None:
            while True:
                deliveries = await dispatchers[number].receive(3, wait=0.01)
                recorder.record(deliveries, str(number))
                await asyncio.sleep(0.001)
                await dispatchers[number].ack(deliveries)

        async with running(map(look, range(3))):
            ids = await publish_all(dispatchers[0], messages("a", count))
            await deadline.until(lambda: len(recorder) >= count, "all messages")
        recorder.check(ids)
        assert {delivery.attempt for delivery in recorder.deliveries} == {1}
