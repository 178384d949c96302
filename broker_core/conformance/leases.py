"""B. A lease is one consumer's until it ends; ack ends the message."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from broker_core.conformance.consuming import (
    assert_backlog,
    assert_nothing,
    collect,
    consume_for_ever,
    messages,
    one,
    publish_all,
    running,
    take_turns,
)
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.requirements import requires
from broker_core.conformance.sizes import Size
from broker_core.model import Delivery, Message


class TestLeases:
    """Receiving and settling while nobody fails."""

    async def test_b1_each_message_goes_to_one_consumer(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """Ten consumers under long leases receive every message exactly once between them."""
        count = size.pick(short=1000, full=1000, stress=100_000)
        dispatchers = [await harness.open(namespace, lease_seconds=300) for _ in range(10)]
        queues = [messages(f"c{number}", count // 20) for number in range(20)]
        recorder = Recorder()
        async with running(
            consume_for_ever(dispatcher, recorder, str(number), max_messages=7)
            for number, dispatcher in enumerate(dispatchers)
        ):
            ids = await publish_all(dispatchers[0], take_turns(*queues))
            await deadline.until(lambda: len(recorder) >= count, "all messages")
        recorder.check(ids)

    async def test_b2_an_empty_receive_waits_as_long_as_told(self, harness: Harness, namespace: str) -> None:
        """Nothing ready: receive(wait=0.3) returns [] after 0.3–1.5 s and doesn't spin meanwhile."""
        dispatcher = await harness.open(namespace)
        await assert_nothing(dispatcher)
        before = time.monotonic()
        assert await dispatcher.receive(10, wait=0.3) == []
        assert 0.3 <= time.monotonic() - before <= 1.5
        # A second, in which even on a busy machine whoever spins gets more than that.
        worked_before = time.process_time()
        await dispatcher.receive(10, wait=1.0)
        assert time.process_time() - worked_before < 0.08, "receive spins while it waits"

    @requires("proxy")
    async def test_b2_waiting_sends_next_to_nothing(self, harness: Harness, namespace: str) -> None:
        """Three consumers that wait do not poll the broker."""
        proxy = await harness.proxy()
        dispatcher = await harness.open(namespace, proxy=proxy)
        await dispatcher.receive(10, wait=0.1)
        before = proxy.bytes_passed["to_broker"]
        await asyncio.gather(*(dispatcher.receive(10, wait=1.0) for _ in range(3)))
        assert proxy.bytes_passed["to_broker"] - before < 10_000

    async def test_b2_a_waiting_receive_wakes_up(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Publish, nack, release and redrive by another dispatcher end the wait of a receive."""
        consumer = await harness.open(namespace)
        other = await harness.open(namespace)

        steps: dict[str, Callable[[list[Delivery]], Awaitable[object]]] = {
            "publish": lambda _: other.publish(Message("a", b"")),
            "nack": lambda held: other.nack(held),
            "delayed nack": lambda held: other.nack(held, delay=0.2),
            "release": lambda held: other.release(held),
            "dead letter": lambda held: other.dead_letter(held),
            "redrive": lambda _: other.redrive("a"),
        }
        held: list[Delivery] = []
        for name, step in steps.items():
            waiting = asyncio.ensure_future(consumer.receive(1, wait=30))
            await asyncio.sleep(0.05)  # until it waits
            await step(held)
            if name == "dead letter":
                waiting.cancel()
                continue
            held = await asyncio.wait_for(waiting, timeout=min(5, deadline.remaining))
            assert len(held) == 1, name

    async def test_b2_every_waiting_receive_gets_work(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Twelve receives of four dispatchers wait; twelve messages published at once wake each of them."""
        dispatchers = [await harness.open(namespace) for _ in range(4)]
        publisher = await harness.open(namespace)
        for customers in (1, 12):
            waiting = [asyncio.ensure_future(d.receive(1, wait=30)) for d in dispatchers * 3]
            await asyncio.sleep(0.1)  # until they wait
            ids = await publisher.publish([Message(f"c{place % customers}") for place in range(12)])
            before = time.monotonic()
            received = await asyncio.wait_for(asyncio.gather(*waiting), deadline.remaining)
            assert time.monotonic() - before < 2.0
            assert sorted(delivery.id for deliveries in received for delivery in deliveries) == sorted(ids)

    async def test_b3_receive_never_returns_more_than_asked(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """receive(n) returns 1 to n messages while some are ready."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(take_turns(messages("a", 40), messages("b", 40), messages("c", 40)))
        left = 120
        for wanted in (1, 2, 3, 7, 20, 50, 100, 1000):
            got = len(await dispatcher.receive(wanted))
            assert min(left, 1) <= got <= wanted
            left -= got
        await collect(dispatcher, left, deadline)
        await assert_nothing(dispatcher)

    async def test_b4_acked_is_gone(self, harness: Harness, namespace: str, deadline: Deadline) -> None:
        """After twice the lease a new consumer gets nothing, and all counts are zero."""
        dispatcher = await harness.open(namespace, lease_seconds=0.3)
        await dispatcher.publish(messages("a", 10))
        await dispatcher.ack(await collect(dispatcher, 10, deadline))
        await assert_backlog(dispatcher)
        other = await harness.open(namespace, lease_seconds=0.3)
        await assert_nothing(other, seconds=0.6)
        await assert_backlog(other)
        await assert_backlog(other, "a")

    async def test_b12_ids_are_never_used_twice(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """Ids stay unique though customers drain, and with them whatever the broker kept of them."""
        dispatcher = await harness.open(namespace)
        seen: set[str] = set()
        rounds, each = size.pick(short=100, full=500), 20
        for number in range(rounds):
            batch = [Message(f"c{place % (number % 5 + 1)}", b"") for place in range(each)]
            seen.update(await dispatcher.publish(batch))
            await dispatcher.ack(await collect(dispatcher, each, deadline))
        assert len(seen) == rounds * each

    async def test_b12_a_message_keeps_its_id(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """The id survives nack, recovery, release, dead letter and redrive."""
        dispatcher = await harness.open(namespace, lease_seconds=0.5)
        (message_id,) = await dispatcher.publish(messages("a", 1))
        await dispatcher.nack(await one(dispatcher, deadline))
        expired = await one(dispatcher, deadline)
        recovered = await one(dispatcher, deadline)
        await dispatcher.release(recovered)
        released = await one(dispatcher, deadline)
        await dispatcher.dead_letter(released)
        (dead,) = await dispatcher.dead_letters("a")
        await dispatcher.redrive("a")
        redriven = await one(dispatcher, deadline)
        assert {one.id for one in (expired, recovered, released, dead, redriven)} == {message_id}

    async def test_b13_a_receipt_is_all_that_another_dispatcher_needs(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Receipts as text settle deliveries through a dispatcher that never received them."""
        consumer = await harness.open(namespace)
        other = await harness.open(namespace)
        await consumer.publish(messages("a", 5))
        receipts = [str(one.receipt) for one in await collect(consumer, 5, deadline)]
        await other.extend(receipts[0], 60)
        await other.ack(receipts[0])
        await other.nack(receipts[1])
        await other.release(receipts[2])
        await other.dead_letter(receipts[3], reason="no")
        await assert_backlog(other, "a", ready=2, leased=1, dead=1)
        await other.ack(receipts[4])

    async def test_b14_verbs_take_what_was_received_in_many_calls(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """One ack may settle deliveries of many receives and customers, also when one is named twice."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(take_turns(*(messages(f"c{number}", 10) for number in range(10))))
        deliveries = await collect(dispatcher, 100, deadline, max_messages=3)
        await dispatcher.ack([*deliveries, deliveries[0], deliveries[-1].receipt])
        await assert_backlog(dispatcher)
