"""A8. The same (customer, Message.id) within the window is stored once and has one id."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from broker_core.conformance.consuming import assert_backlog, assert_nothing, collect, drain, messages, one
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.requirements import requires
from broker_core.errors import BrokerUnavailable, InvalidMessage, PublishFailed
from broker_core.model import Message


@requires("dedup")
class TestDedup:
    """Publishing the same thing again."""

    async def test_a8_the_same_key_is_stored_once(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """In two calls and within one batch, before and after the ack; the first one's content counts."""
        dispatcher = await harness.open(namespace)
        (first,) = await dispatcher.publish(Message("a", b"first", id="key"))
        again = await dispatcher.publish(
            [Message("a", b"second", id="key"), Message("a", b"third", id="key")]
        )
        assert again == [first, first]
        twins = await dispatcher.publish([Message("a", b"twin", id="two"), Message("a", b"other", id="two")])
        assert twins[0] == twins[1] != first
        await assert_backlog(dispatcher, ready=2)

        delivered = await collect(dispatcher, 2, deadline)
        assert [delivery.message.payload for delivery in delivered] == [b"first", b"twin"]
        assert [delivery.message.id for delivery in delivered] == ["key", "two"]
        await dispatcher.ack(delivered)
        assert await dispatcher.publish(Message("a", b"late", id="key")) == [first]
        await assert_backlog(dispatcher)

    async def test_a8_another_customer_or_key_is_another_message(
        self, harness: Harness, namespace: str
    ) -> None:
        """Keys are looked at per customer and compared whole; messages without one are never the same."""
        dispatcher = await harness.open(namespace)
        pairs = [("a", "b:c"), ("a:b", "c"), ("a", "b"), ("b", "b"), ("a", "B"), ("a", "b "), ("a", "0")]
        ids = await dispatcher.publish([Message(customer, b"", id=key) for customer, key in pairs])
        ids += await dispatcher.publish([Message("a", b""), Message("a", b"")])
        assert len(set(ids)) == len(pairs) + 2
        await assert_backlog(dispatcher, ready=len(pairs) + 2)

    async def test_a8_namespaces_do_not_share_keys(self, harness: Harness) -> None:
        """The same customer and key in two namespaces are two messages."""
        for _ in range(2):
            dispatcher = await harness.open(harness.namespace())
            await dispatcher.publish(Message("a", b"", id="key"))
            await assert_backlog(dispatcher, ready=1)

    @requires("dedup_namespace")
    async def test_a8_parallel_publishers_agree(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """20 publishers of the same 20 keys at once get the same 20 ids, and each is received once."""
        dispatchers = [await harness.open(namespace) for _ in range(4)]
        batch = [Message("a", b"", id=f"key-{number}") for number in range(20)]
        answers = await asyncio.gather(*(dispatchers[number % 4].publish(batch) for number in range(20)))
        assert all(answer == answers[0] for answer in answers)
        recorder = Recorder()
        await drain(dispatchers[:1], recorder, deadline)
        recorder.check(answers[0])

    @requires("dedup_namespace", "proxy")
    async def test_a8_publishing_again_after_a_lost_reply_is_safe(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """The reply to a publish is lost: the repetition returns ids, and each message is stored once.

        A staged publish stops at the first step without a reply, and fails.
        """
        proxy = await harness.proxy()
        publisher = await harness.open(namespace, proxy=proxy)
        consumer = await harness.open(namespace)
        confirmed = []
        for attempt in range(5):
            batch = [Message("a", b"", id=f"key-{attempt}-{number}") for number in range(10)]
            proxy.swallow("to_client")
            publishing = asyncio.ensure_future(publisher.publish(batch))

            async def stored(
                expected: int = 10 * (attempt + 1), publishing: asyncio.Future[list[str]] = publishing
            ) -> bool:
                return (await consumer.backlog()).ready == expected or (
                    harness.features.staged_publish and publishing.done()
                )

            await deadline.until(stored, "messages whose confirmation is lost")
            if publishing.done():
                assert publishing.exception() is not None, "confirmed without a reply"
            proxy.cut()
            await proxy.accept()
            with contextlib.suppress(
                PublishFailed, BrokerUnavailable
            ):  # or the dispatcher asked again itself
                await publishing
            confirmed += await publisher.publish(batch)
        recorder = Recorder()
        await drain([consumer], recorder, deadline)
        recorder.check(confirmed)

    async def test_a8_the_window_ends(self, harness: Harness, namespace: str, deadline: Deadline) -> None:
        """Some time after the window the same key is a new message."""
        dispatcher = await harness.open(namespace, dedup_window=0.2)
        (first,) = await dispatcher.publish(Message("a", b"", id="key"))

        async def is_new() -> bool:
            return await dispatcher.publish(Message("a", b"", id="key")) != [first]

        await deadline.until(is_new, "an end of the dedup window")
        await assert_backlog(dispatcher, ready=2)

    async def test_a8_a_window_of_zero_switches_it_off(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """With dedup_window=0 the key is carried along and has no effect."""
        dispatcher = await harness.open(namespace, dedup_window=0)
        first, second = await dispatcher.publish([Message("a", b"", id="key")] * 2)
        assert first != second
        assert {delivery.message.id for delivery in await collect(dispatcher, 2, deadline)} == {"key"}

    async def test_a8_a_refused_publish_leaves_no_key(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """A key that came with an invalid batch is free: publishing it alone stores it."""
        dispatcher = await harness.open(namespace)
        with pytest.raises(InvalidMessage):
            await dispatcher.publish([Message("a", b"", id="key"), Message("", b"")])
        (message_id,) = await dispatcher.publish(Message("a", b"", id="key"))
        assert (await one(dispatcher, deadline)).id == message_id
        await assert_nothing(dispatcher)

    async def test_a8_a_retry_over_a_nack_is_no_duplicate(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Redelivery and redrive of a message with a key are not held back by that key."""
        dispatcher = await harness.open(namespace)
        (message_id,) = await dispatcher.publish(Message("a", b"", id="key"))
        await dispatcher.nack(await one(dispatcher, deadline))
        await dispatcher.dead_letter(await one(dispatcher, deadline))
        assert await dispatcher.redrive("a") == 1
        assert (await one(dispatcher, deadline)).id == message_id
        await dispatcher.publish(messages("a", 1))
        await one(dispatcher, deadline)
