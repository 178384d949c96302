"""A6. A cancelled call ends at once, loses nothing and costs no attempt."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from broker_core.conformance.consuming import assert_backlog, collect, drain, messages, one
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.requirements import requires
from broker_core.conformance.sizes import Size
from broker_core.errors import LeaseLost
from broker_core.model import Delivery, Message

_LONG_LEASE_SECONDS = 300.0
_AT_ONCE_SECONDS = 1.0


async def cancelled(task: asyncio.Task[Any]) -> bool:
    """Cancel a call and tell whether that was in time; fail if it doesn't end, at once and as cancelled."""
    was_running = task.cancel()
    before = time.monotonic()
    await asyncio.wait([task], timeout=10 * _AT_ONCE_SECONDS)
    assert time.monotonic() - before < _AT_ONCE_SECONDS, "a cancelled call did not end at once"
    assert task.cancelled() == was_running, "a cancellation was swallowed"
    return was_running


async def some_turns(chance: random.Random) -> None:
    """Let the event loop run for a random moment: from nothing to a few round trips."""
    if chance.random() < 0.5:
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
    else:
        await asyncio.sleep(chance.random() * 0.003)


class TestCancellation:
    """Cancelling receive and publish at any moment."""

    async def test_a6_a_blocked_receive_ends_at_once(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Cancelling a receive that waits raises CancelledError at once; the dispatcher works on."""
        dispatcher = await harness.open(namespace)
        waiting = asyncio.ensure_future(dispatcher.receive(10, wait=30))
        await asyncio.sleep(0.1)
        assert await cancelled(waiting)
        await dispatcher.publish(messages("a", 1))
        assert (await one(dispatcher, deadline)).attempt == 1

    @pytest.mark.parametrize("max_attempts", [1, 5])
    async def test_a6_what_a_cancelled_receive_took_comes_again(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size, max_attempts: int
    ) -> None:
        """Whenever receives are cancelled, all messages come: soon, each once, with attempt 1."""
        chance = random.Random(6)
        dispatcher = await harness.open(
            namespace, lease_seconds=_LONG_LEASE_SECONDS, max_attempts=max_attempts
        )
        ids: list[str] = []
        recorder = Recorder()
        for number in range(size.pick(short=60, full=1000)):
            receiving = asyncio.ensure_future(dispatcher.receive(10, wait=5))
            if chance.random() < 0.5:
                await some_turns(chance)
            ids += await dispatcher.publish(Message(f"c{number % 3}", b""))
            await some_turns(chance)
            if not await cancelled(receiving):
                recorder.record(receiving.result())
                await dispatcher.ack(receiving.result())
        while len(recorder) < len(ids):
            deadline.check(f"{len(ids) - len(recorder)} messages that cancelled receives took")
            deliveries = await dispatcher.receive(10, wait=0.2)
            recorder.record(deliveries)
            await dispatcher.ack(deliveries)
        recorder.check(ids)
        assert {delivery.attempt for delivery in recorder.deliveries} == {1}
        await assert_backlog(dispatcher)

    @requires("proxy")
    @pytest.mark.parametrize("seconds", [0.05, 0.15, 0.25, 0.35, 0.45])
    async def test_a6_cancelled_over_a_slow_connection_nothing_is_kept(
        self, harness: Harness, namespace: str, deadline: Deadline, seconds: float
    ) -> None:
        """Whichever answer of the broker is on its way: delivered again to another, with attempt 1."""
        other = await harness.open(namespace)
        proxy = await harness.proxy()
        dispatcher = await harness.open(namespace, proxy=proxy, lease_seconds=_LONG_LEASE_SECONDS)
        ids = await dispatcher.publish(messages("a", 5))
        proxy.delay_seconds = 0.1
        receiving = asyncio.ensure_future(dispatcher.receive(5))
        await asyncio.wait([receiving], timeout=seconds)
        if not await cancelled(receiving):
            await dispatcher.release(receiving.result())
        again = await collect(other, 5, deadline)
        assert sorted(delivery.id for delivery in again) == sorted(ids)
        assert {delivery.attempt for delivery in again} == {1}

    @requires("proxy", "lease_enforced_by")
    async def test_a6_a_reply_that_was_on_its_way_is_given_back(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Cancelled after the hand-over and before its reply came: delivered again with attempt 1."""
        other = await harness.open(namespace)
        proxy = await harness.proxy()
        dispatcher = await harness.open(namespace, proxy=proxy, lease_seconds=_LONG_LEASE_SECONDS)
        ids = await dispatcher.publish(messages("a", 5))
        proxy.delay_seconds = 0.1
        receiving = asyncio.ensure_future(dispatcher.receive(5))

        async def all_leased() -> bool:
            return (await other.backlog()).leased == 5

        await deadline.until(all_leased, "the hand-over of 5 messages")
        assert await cancelled(receiving)
        again = await collect(other, 5, deadline)
        assert [delivery.id for delivery in again] == ids
        assert {delivery.attempt for delivery in again} == {1}

    async def test_a6_no_verb_swallows_a_cancellation(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """Every verb that is cancelled before it has ended raises CancelledError, at whatever moment."""
        chance = random.Random(6666)
        dispatcher = await harness.open(namespace, max_attempts=1000)
        await dispatcher.publish(messages("a", 1))
        verbs: list[Callable[[Delivery], Coroutine[Any, Any, Any]]] = [
            lambda _: dispatcher.publish(Message("b")),
            lambda _: dispatcher.backlog("a"),
            dispatcher.extend,
            dispatcher.release,
            dispatcher.nack,
        ]
        held = await one(dispatcher, deadline)
        for number in range(size.pick(short=100, full=2000)):
            task = asyncio.ensure_future(verbs[number % len(verbs)](held))
            await some_turns(chance)
            await cancelled(task)
            if number % len(verbs) > 2:  # given back or not, as the cancellation was in time or not
                with contextlib.suppress(LeaseLost):
                    await dispatcher.release(held)
                held = await one(dispatcher, deadline)
            await dispatcher.purge("b")

    async def test_a6_cancelling_leaves_the_dispatcher_in_step(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """After calls were cancelled at any moment, later calls get their own replies and not those."""
        chance = random.Random(66)
        dispatcher = await harness.open(namespace, lease_seconds=_LONG_LEASE_SECONDS)
        confirmed: dict[str, str] = {}
        for number in range(size.pick(short=60, full=1000)):
            calls: list[Coroutine[Any, Any, Any]] = [
                dispatcher.publish(Message("cancelled", b"")),
                dispatcher.backlog(),
                dispatcher.customers(),
                dispatcher.receive(1),
            ]
            kept = chance.randrange(len(calls))
            for place, call in enumerate(calls):
                if place != kept:
                    call.close()
            task = asyncio.ensure_future(calls[kept])
            await some_turns(chance)
            if not await cancelled(task) and kept == 3:
                await dispatcher.release(task.result())
            (message_id,) = await dispatcher.publish(Message("kept", str(number).encode()))
            confirmed[message_id] = str(number)
        recorder = Recorder()

        async def all_kept() -> bool:
            await drain([dispatcher], recorder, deadline)
            return (await dispatcher.backlog("kept")).leased == 0

        await deadline.until(all_kept, "what cancelled receives took")
        received = {
            delivery.id: delivery.message.payload.decode()
            for delivery in recorder.deliveries
            if delivery.customer == "kept"
        }
        assert received == confirmed

    @requires("dedup")
    async def test_a6_a_cancelled_publish_can_be_repeated(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """A publish that was cancelled at any moment and is repeated with the same id is stored once."""
        chance = random.Random(666)
        dispatcher = await harness.open(namespace)
        confirmed = []
        for number in range(size.pick(short=40, full=500)):
            message = Message("a", b"", id=f"key-{number}")
            publishing = asyncio.ensure_future(dispatcher.publish(message))
            await some_turns(chance)
            await cancelled(publishing)
            confirmed += await dispatcher.publish(message)
        recorder = Recorder()
        await drain([dispatcher], recorder, deadline)
        recorder.check(confirmed)

    async def test_a6_a_receive_with_a_time_limit_of_the_caller_loses_nothing(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """asyncio.timeout around receive is a cancellation like any other."""
        dispatcher = await harness.open(namespace, lease_seconds=_LONG_LEASE_SECONDS, max_attempts=1)
        received: list[Delivery] = []
        for _ in range(10):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await dispatcher.receive(10, wait=30)
        (message_id,) = await dispatcher.publish(messages("a", 1))
        received.append(await one(dispatcher, deadline))
        assert [(delivery.id, delivery.attempt) for delivery in received] == [(message_id, 1)]
