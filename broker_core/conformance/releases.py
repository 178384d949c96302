"""I. Two releases of the adapter share one broker and one namespace, as during a rolling upgrade."""

from __future__ import annotations

import asyncio
from itertools import cycle

import pytest

from broker_core.conformance.consuming import (
    assert_backlog,
    assert_nothing,
    collect,
    consume_for_ever,
    messages,
    one,
    running,
    take_turns,
)
from broker_core.conformance.fairness_checks import assert_bounded, one_by_one
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.requirements import requires
from broker_core.conformance.sizes import Size
from broker_core.dispatcher import FairDispatcher
from broker_core.errors import LeaseLost
from broker_core.model import Backlog, CustomerPolicy, Message


async def is_empty(dispatcher: FairDispatcher) -> bool:
    """Tell whether the namespace holds no message."""
    return await dispatcher.backlog() == Backlog()


async def both(harness: Harness, namespace: str) -> list[FairDispatcher]:
    """Open one dispatcher of each release."""
    return [
        await harness.open(namespace),
        await harness.open_other_release(namespace),
    ]


@requires("releases")
class TestReleases:
    """Whatever one release has begun the other goes on with."""

    @pytest.mark.parametrize("order", ["old-new", "new-old"])
    async def test_i5_what_one_release_began_the_other_finishes(
        self, harness: Harness, namespace: str, deadline: Deadline, order: str
    ) -> None:
        """Published by the one, received by the other, and each verb by who didn't receive."""
        ours, theirs = (await both(harness, namespace))[:: 1 if order == "old-new" else -1]
        ids = await ours.publish(messages("a", 5))
        held = await collect(theirs, 5, deadline)
        assert [delivery.id for delivery in held] == ids
        assert len(await ours.extend(held)) == 5
        await ours.ack(held[0])
        await ours.release(held[1])
        await ours.nack(held[2])
        await ours.nack(held[3], delay=0.2)
        await ours.dead_letter(held[4], reason="no")
        with pytest.raises(LeaseLost):
            await theirs.nack(held[1:])
        assert await theirs.redrive("a") == 1
        again = await collect(theirs, 4, deadline)
        assert {delivery.id: delivery.attempt for delivery in again} == {
            ids[1]: 1,
            ids[2]: 2,
            ids[3]: 2,
            ids[4]: 1,
        }
        await ours.ack(again)
        for dispatcher in (ours, theirs):
            await assert_nothing(dispatcher)
            await assert_backlog(dispatcher)

    async def test_i5_releases_agree_on_keys_and_policies(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """A key that one release knows is known to the other; so are policies, counts and customers."""
        ours, theirs = await both(harness, namespace)
        keyed = Message("a", b"once", id="key")
        assert await ours.publish(keyed) == await theirs.publish(keyed)
        await theirs.set_policy("a", CustomerPolicy(paused=True))
        assert await ours.get_policy("a") == CustomerPolicy(paused=True)
        await assert_nothing(ours)
        assert list(await ours.customers()) == list(await theirs.customers())
        await ours.set_policy("a", None)
        assert (await one(theirs, deadline)).message.payload == b"once"
        assert await ours.purge("a") == 1
        await assert_backlog(theirs)

    async def test_i5_a_waiting_receive_is_woken_by_the_other_release(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Both directions, long before the wait is over."""
        ours, theirs = await both(harness, namespace)
        for publisher, consumer in ((ours, theirs), (theirs, ours)):
            receiving = asyncio.create_task(consumer.receive(1, wait=30))
            await asyncio.sleep(0.2)  # to be blocked by then; it must succeed without that too
            await publisher.publish(messages("a", 1))
            async with asyncio.timeout(min(10, deadline.remaining)):
                await consumer.ack(await receiving)

    @requires("fairness_scope")
    async def test_i5_releases_share_one_schedule(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Receives of both in turn, none of which fits a visit, keep the bound."""
        dispatchers = await both(harness, namespace)
        names = harness.customers(namespace, 3)
        for dispatcher in dispatchers:
            await dispatcher.publish(take_turns(*(messages(name, 200) for name in names)))
        recorder = Recorder()
        for dispatcher in cycle(dispatchers):
            deadline.check("900 messages")
            recorder.record(await dispatcher.receive(7))
            if len(recorder) >= 900:
                break
        assert_bounded(one_by_one(recorder.deliveries), dispatchers[0].settings.quantum)

    async def test_i5_nothing_is_lost_while_both_work(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """Two publishers and four consumers, half of each of another release: each message once."""
        dispatchers = [one for _ in range(2) for one in await both(harness, namespace)]
        count, recorder = size.pick(short=1000, full=20_000), Recorder()
        consumers = (
            consume_for_ever(dispatcher, recorder, str(place), max_messages=10)
            for place, dispatcher in enumerate(dispatchers)
        )
        async with running(consumers):
            ids: list[str] = []
            while len(ids) < count:
                deadline.check("all published")
                for publisher in dispatchers[:2]:
                    ids += await publisher.publish(take_turns(messages("a", 25), messages("b", 25)))
            await deadline.until(lambda: len(recorder) >= len(ids), "all messages")
            # A hand-over is recorded before its ack, which ends with its consumer.
            await deadline.until(lambda: is_empty(dispatchers[0]), "the last acks")
        recorder.check(ids)
        assert len({one.consumer for one in recorder.hand_overs}) == 4
