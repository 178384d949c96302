"""I. Connections are cut at any moment; nothing is lost and nobody has to restart anything."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest

from broker_core.conformance.consuming import (
    assert_backlog,
    collect,
    error_of,
    messages,
    one,
    running,
)
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.proxy import TcpProxy
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
from broker_core.errors import BrokerUnavailable
from broker_core.model import Delivery, Message

LONG_LEASE_SECONDS = 300.0


@requires("proxy")
class TestConnectionLoss:
    """Connections are cut, go silent, or are refused."""

    async def test_i2_a_blocked_receive_outlives_a_cut(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Cut again and again while it waits, the same call of receive gets the next message."""
        proxy = await harness.proxy()
        consumer = await harness.open(namespace, proxy=proxy)
        publisher = await harness.open(namespace)
        waiting = asyncio.ensure_future(consumer.receive(10, wait=30))
        for _ in range(5):
            await asyncio.sleep(0.1)
            proxy.cut()
        (message_id,) = await publisher.publish(messages("a", 1))
        received = await asyncio.wait_for(waiting, deadline.remaining)
        assert [(delivery.id, delivery.attempt) for delivery in received] == [(message_id, 1)]

    async def test_i2_a_cut_between_delivery_and_ack(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """The ack of what was received before a cut takes effect after it."""
        proxy = await harness.proxy()
        consumer = await harness.open(namespace, proxy=proxy, lease_seconds=LONG_LEASE_SECONDS)
        await consumer.publish(messages("a", 5))
        held = await collect(consumer, 5, deadline)
        proxy.cut()
        assert await settle_stubbornly(lambda: consumer.ack(held), deadline)
        await assert_backlog(consumer)

    @pytest.mark.parametrize("size_bytes", [1, 30, 5_000, 25_000])
    async def test_i2_a_cut_in_the_middle_of_a_reply(
        self, harness: Harness, namespace: str, deadline: Deadline, size_bytes: int
    ) -> None:
        """What a receive was sent when its reply broke off comes again: soon, with attempt 1, in order."""
        proxy = await harness.proxy()
        other = await harness.open(namespace)
        consumer = await harness.open(
            namespace, proxy=proxy, lease_seconds=LONG_LEASE_SECONDS, max_attempts=1
        )
        ids = await other.publish([Message("a", bytes(1000)) for _ in range(50)])
        proxy.cut_after(size_bytes, "to_client")
        received: list[Delivery] = []
        while len(received) < 50:
            deadline.check(f"50 messages; there were {len(received)}")
            received += await again_and_again(lambda: consumer.receive(50, wait=1), deadline)
        assert [delivery.id for delivery in received] == ids
        assert {delivery.attempt for delivery in received} == {1}
        await consumer.ack(received)
        await assert_backlog(other)

    async def test_i2_the_owner_may_be_gone_when_no_reply_comes(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """A receive whose reply doesn't come is cut, cancelled and closed: its messages wait for no lease."""
        proxy = await harness.proxy()
        other = await harness.open(namespace)
        consumer = await harness.open(namespace, proxy=proxy, lease_seconds=LONG_LEASE_SECONDS)
        await other.publish(messages("a", 3))
        sent = proxy.bytes_passed["to_broker"]
        proxy.swallow("to_client")
        receiving = asyncio.ensure_future(consumer.receive(3))
        await deadline.until(lambda: proxy.bytes_passed["to_broker"] > sent, "a request to the broker")
        await proxy.accept()
        proxy.cut()
        receiving.cancel()
        await asyncio.wait([receiving], timeout=deadline.remaining)
        assert receiving.done(), "the cancelled receive went on"
        await asyncio.wait_for(consumer.close(), deadline.remaining)
        again = await collect(other, 3, deadline)
        assert {delivery.attempt for delivery in again} == {1}

    @requires("lease_enforced_by")
    async def test_i2_the_owner_may_be_gone_when_its_reply_breaks_off(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """If the dispatcher is closed right after, the messages still wait for no lease."""
        proxy = await harness.proxy()
        other = await harness.open(namespace)
        consumer = await harness.open(namespace, proxy=proxy, lease_seconds=LONG_LEASE_SECONDS)
        await other.publish(messages("a", 3))
        proxy.swallow("to_client")
        receiving = asyncio.ensure_future(consumer.receive(3))

        async def all_leased() -> bool:
            return (await other.backlog()).leased == 3

        await deadline.until(all_leased, "the hand-over")
        await proxy.accept()
        proxy.cut()
        receiving.cancel()
        await asyncio.wait([receiving], timeout=deadline.remaining)
        assert receiving.done(), "the cancelled receive went on"
        await asyncio.wait_for(consumer.close(), deadline.remaining)
        again = await collect(other, 3, deadline)
        assert {delivery.attempt for delivery in again} == {1}

    async def test_i2_a_verb_that_gets_no_answer_loses_nothing(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """nack, release, dead_letter while no answer comes, then repeated: the message is there, and free."""
        proxy = await harness.proxy()
        other = await harness.open(namespace)
        consumer = await harness.open(namespace, proxy=proxy, lease_seconds=LONG_LEASE_SECONDS)
        verbs: Sequence[Callable[[Delivery], Awaitable[None]]] = (
            consumer.release,
            lambda held: consumer.nack(held, delay=60),
            consumer.dead_letter,
        )
        for number, verb in enumerate(verbs):
            customer = f"c{number}"
            await other.publish(messages(customer, 1))
            held = await one(consumer, deadline)
            proxy.swallow("to_client")
            error = await error_of(verb(held))
            assert error is None or (isinstance(error, BrokerUnavailable) and error.retryable)
            await proxy.accept()
            proxy.cut()
            await settle_stubbornly(lambda verb=verb, held=held: verb(held), deadline)  # type: ignore[misc]

            async def is_free(customer: str = customer) -> bool:
                states = await again_and_again(lambda: other.backlog(customer), deadline)
                return states.leased == 0 and states.ready + states.delayed + states.dead > 0

            await deadline.until(is_free, "a message that is there and isn't leased")
            await again_and_again(lambda customer=customer: other.purge(customer), deadline)  # type: ignore[misc]
            await other.purge_dead_letters(customer)
        await assert_backlog(other)

    @requires("lease_enforced_by")
    async def test_i2_a_verb_whose_reply_was_lost_took_effect_once(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """nack, release, dead_letter: executed, reply lost. Repeated or not, the message is in one state."""
        proxy = await harness.proxy()
        other = await harness.open(namespace)
        consumer = await harness.open(namespace, proxy=proxy, lease_seconds=LONG_LEASE_SECONDS)
        verbs: Mapping[str, Callable[[Delivery], Awaitable[None]]] = {
            "ready": consumer.release,
            "delayed": lambda held: consumer.nack(held, delay=60),
            "dead": consumer.dead_letter,
        }
        for state, verb in verbs.items():
            await other.publish(messages(state, 1))
            held = await one(consumer, deadline)
            proxy.swallow("to_client")
            settling = asyncio.ensure_future(error_of(verb(held)))

            async def executed(state: str = state) -> bool:
                return bool(getattr(await other.backlog(state), state) == 1)

            await deadline.until(executed, f"a message that is {state}")
            await proxy.accept()
            proxy.cut()
            error = await settling
            assert error is None or (isinstance(error, BrokerUnavailable) and error.retryable)
            await settle_stubbornly(lambda verb=verb, held=held: verb(held), deadline)  # type: ignore[misc]
            assert getattr(await other.backlog(state), state) == 1
            await other.purge(state)
            await other.purge_dead_letters(state)
        await assert_backlog(other)

    @requires("dedup")
    async def test_i2_cuts_again_and_again_lose_nothing(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """Under cuts at random moments and places all messages arrive; no dispatcher is made anew."""
        chance = random.Random(2)
        proxy = await harness.proxy()
        publisher = await harness.open(namespace, proxy=proxy)
        consumers = [await harness.open(namespace, proxy=proxy, lease_seconds=2) for _ in range(2)]
        recorder = Recorder()
        confirmed: list[str] = []
        batch = with_ids(size.pick(short=1500, full=20_000))

        async def publish() -> None:
            while len(confirmed) < len(batch):
                part = batch[len(confirmed) : len(confirmed) + 10]
                confirmed.extend(await publish_stubbornly(publisher, part, deadline))

        async def cut_for_ever() -> None:
            while True:
                await asyncio.sleep(chance.random() * 0.1)
                _cut_somehow(proxy, chance)

        async with running(
            consume_stubbornly(consumer, recorder, str(place), deadline)
            for place, consumer in enumerate(consumers)
        ):
            async with running([cut_for_ever()]):
                await publish()
            await deadline.until(lambda: set(recorder.ids) >= set(confirmed), "every confirmed message")
        # Acks may be lost with the connection, so what was acked then may come again when its lease ends.
        recorder.check(confirmed, duplicates_allowed=len(batch) // 2)

        async def all_gone() -> bool:
            backlog = await publisher.backlog()
            return backlog.leased == backlog.ready == 0

        await proxy.accept()
        async with running(
            consume_stubbornly(consumer, recorder, str(place), deadline)
            for place, consumer in enumerate(consumers)
        ):
            await deadline.until(all_gone, "an empty broker")


def _cut_somehow(proxy: TcpProxy, chance: random.Random) -> None:
    kind = chance.randrange(3)
    if kind == 0:
        proxy.cut()
    else:
        proxy.cut_after(chance.randrange(1, 5000), "to_client" if kind == 1 else "to_broker")
