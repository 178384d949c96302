"""A. What is published is received as it was, and nothing else."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta

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
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder, assert_same_ids
from broker_core.conformance.requirements import requires
from broker_core.conformance.sizes import Size
from broker_core.errors import BrokerUnavailable, InvalidMessage, PublishFailed
from broker_core.model import Message


class TestPublishReceive:
    """Publishing and receiving without faults."""

    async def test_a1_what_was_published_before_any_consumer_arrives_whole(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Ids, payload bytes, headers, customer, cost, attempt 1 and published_at are all as published."""
        publisher = await harness.open(namespace)
        batch = [
            Message(
                f"customer {number % 7}",
                f"payload {number}".encode(),
                {"number": str(number), "text": "سلام"},
                id=f"key-{number}" if number % 3 else None,
                cost=number % 5 + 1,
            )
            for number in range(100)
        ]
        before = datetime.now(UTC)
        ids = await publisher.publish(batch)
        after = datetime.now(UTC)
        await publisher.close()

        consumer = await harness.open(namespace)
        received = {delivery.id: delivery for delivery in await collect(consumer, 100, deadline)}
        assert_same_ids(received, ids)
        for message_id, message in zip(ids, batch, strict=True):
            delivery = received[message_id]
            assert delivery.message == message
            assert delivery.customer == message.customer
            assert delivery.attempt == 1
            slack = timedelta(seconds=1)  # the broker's clock may differ from ours
            assert before - slack <= delivery.published_at <= after + slack
            assert delivery.lease_until > delivery.published_at
            assert delivery.published_at.utcoffset() == delivery.lease_until.utcoffset() == timedelta(0)

    async def test_a2_payload_bytes_are_kept(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Empty, JSON, invalid UTF-8, zeros, all byte values and the largest allowed come back identical."""
        dispatcher = await harness.open(namespace)
        largest = bytes(range(256)) * (dispatcher.settings.max_payload_bytes // 256 + 1)
        payloads = {
            "empty": b"",
            "json": '{"to": "+98912…", "text": "سلام"}'.encode(),
            "invalid": b"\xff\xfe\xc3\x28",
            "zeros": bytes(1000),
            "lines": b"a\r\nb\n\n",
            "all": bytes(range(256)),
            "largest": largest[: dispatcher.settings.max_payload_bytes],
        }
        await dispatcher.publish([Message(name, payload) for name, payload in payloads.items()])
        for delivery in await collect(dispatcher, len(payloads), deadline):
            # Not compared by `==` in the assert: a failure would print a megabyte.
            assert delivery.message.payload.hex() == payloads[delivery.customer].hex(), delivery.customer

    async def test_a3_headers_are_kept_or_refused(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Headers keep unicode, quotes, control characters and length; over the limit nothing is stored."""
        dispatcher = await harness.open(namespace)
        limit = dispatcher.settings.max_headers_bytes
        headers = [
            {},
            {"": ""},
            {"نام": "مقدار", "emoji": "🙂"},
            {"quotes": "\"'`\\", "json": '{"a": [1]}'},
            {"control": "\x00\x01\r\n\t\x7f", "\n": "key"},
            {"k": "v" * (limit - 1)},
        ]
        await dispatcher.publish([Message(f"c{place}", headers=one) for place, one in enumerate(headers)])
        for delivery in await collect(dispatcher, len(headers), deadline):
            assert delivery.message.headers == headers[int(delivery.customer[1:])]
            await dispatcher.ack(delivery)

        with pytest.raises(InvalidMessage) as error:
            await dispatcher.publish([Message("c"), Message("c", headers={"k": "v" * limit})])
        assert error.value.index == 1
        await assert_backlog(dispatcher)

    async def test_a4_parallel_publishers_lose_nothing(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Of 50 publishers × 100 messages exactly what was confirmed is received, each once."""
        dispatchers = [await harness.open(namespace) for _ in range(5)]
        confirmed: list[str] = []

        async def publish(number: int) -> None:
            for place in range(100):
                message = Message(f"customer {number % 10}", f"{number} {place}".encode())
                confirmed.extend(await dispatchers[number % 5].publish(message))

        recorder = Recorder()
        async with running(
            consume_for_ever(dispatcher, recorder, str(place)) for place, dispatcher in enumerate(dispatchers)
        ):
            await asyncio.gather(*(publish(number) for number in range(50)))
            await deadline.until(lambda: len(recorder) >= 5000, "all messages")
        assert len(confirmed) == 5000
        recorder.check(confirmed)

    async def test_a4_what_publish_returned_survives_the_publisher(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """A message that was confirmed is received though its publisher crashed."""
        publisher = await harness.open_mortal(namespace)
        ids = await publisher.publish(messages("a", 20))
        await harness.crash(publisher)
        consumer = await harness.open(namespace)
        recorder = Recorder()
        recorder.record(await collect(consumer, 20, deadline))
        recorder.check(ids)

    async def test_a5_one_invalid_message_refuses_the_batch(self, harness: Harness, namespace: str) -> None:
        """With one invalid message of a batch nothing is stored, and the error names its place."""
        dispatcher = await harness.open(namespace, max_cost=10)
        for invalid in (
            Message("", b""),
            Message("a", b"", cost=0),
            Message("a", b"", cost=11),
            Message("a", "text"),  # type: ignore[arg-type]
            Message("a", headers={"k": 1}),  # type: ignore[dict-item]
            Message("a", headers=[("k", "v")]),  # type: ignore[arg-type]
            Message("a", id=""),
            "a",
        ):
            with pytest.raises(InvalidMessage) as error:
                await dispatcher.publish([*messages("a", 3), invalid, *messages("a", 3)])  # type: ignore[list-item]
            assert error.value.index == 3
            assert not error.value.retryable
        await assert_backlog(dispatcher)
        await assert_nothing(dispatcher)

    @requires("proxy")
    async def test_a5_a_batch_cut_in_the_middle_is_told_truly(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """When a large batch is cut, each index is stored, rejected or unknown, and that is true.

        A staged publish may send again what the cut has stopped, and store all of it.
        """
        consumer = await harness.open(namespace)
        proxy = await harness.proxy()
        publisher = await harness.open(namespace, proxy=proxy)
        batch = [Message("a", str(place).encode().ljust(200_000)) for place in range(60)]
        proxy.cut_after(5_000_000, "to_broker")
        stored: dict[int, str] = {}
        rejected: set[int] = set()
        unknown: list[int] = []
        failure: PublishFailed | BrokerUnavailable | None = None
        try:
            stored = dict(enumerate(await publisher.publish(batch)))
        except (PublishFailed, BrokerUnavailable) as error:
            failure = error
        if failure is None:
            assert harness.features.staged_publish, "all was confirmed in spite of the cut"
        else:
            assert failure.retryable
        if isinstance(failure, PublishFailed):
            stored, rejected, unknown = failure.stored, set(failure.rejected), failure.unknown
        elif failure is not None:  # one cause for all: nothing was stored
            rejected = set(range(60))
        assert proxy.bytes_passed["to_broker"] >= 5_000_000, "the connection was not cut"
        assert sorted([*stored, *rejected, *unknown]) == list(range(60)), "each in exactly one"

        received = {}
        while deliveries := await consumer.receive(100, wait=0.5):
            deadline.check("an end of the messages")
            for delivery in deliveries:
                received[int(delivery.message.payload)] = delivery.id
        assert {place: received.get(place) for place in stored} == stored
        assert not rejected & set(received), "a rejected message was stored"

    async def test_a7_a_payload_that_is_too_large_is_refused(self, harness: Harness, namespace: str) -> None:
        """Over max_payload_bytes → InvalidMessage, and the backlog is unchanged."""
        dispatcher = await harness.open(namespace, max_payload_bytes=100)
        await dispatcher.publish(Message("a", bytes(100)))
        with pytest.raises(InvalidMessage) as error:
            await dispatcher.publish([Message("a", bytes(100)), Message("a", bytes(101))])
        assert error.value.index == 1
        await assert_backlog(dispatcher, ready=1)

    async def test_a10_publishing_nothing_does_nothing(self, harness: Harness, namespace: str) -> None:
        """An empty batch is confirmed as such; so are the verbs with no deliveries."""
        dispatcher = await harness.open(namespace)
        assert await dispatcher.publish([]) == []
        await dispatcher.ack([])
        await dispatcher.nack([])
        await dispatcher.release([])
        await dispatcher.dead_letter([])
        assert await dispatcher.extend([]) == []
        await assert_backlog(dispatcher)

    async def test_a11_ids_are_returned_in_the_order_of_the_batch(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """publish returns the id of each message at its place, over customers and many calls."""
        dispatcher = await harness.open(namespace)
        batch = take_turns(*(messages(f"c{number}", 100) for number in range(size.pick(short=5, full=50))))
        ids = await dispatcher.publish(batch)
        expected = defaultdict(list)
        for message_id, message in zip(ids, batch, strict=True):
            expected[message.customer].append(message_id)
        received = defaultdict(list)
        for delivery in await collect(dispatcher, len(batch), deadline):
            received[delivery.customer].append(delivery.id)
        assert received == expected

    async def test_a12_a_single_message_and_a_single_delivery_are_accepted(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """publish takes one message, the verbs take one delivery or one receipt."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(Message("a", b"1"))
        await dispatcher.nack(await one(dispatcher, deadline))
        await dispatcher.release((await one(dispatcher, deadline)).receipt)
        delivery = await one(dispatcher, deadline)
        assert len(await dispatcher.extend(delivery)) == 1
        await dispatcher.ack(delivery)
        await assert_backlog(dispatcher)
