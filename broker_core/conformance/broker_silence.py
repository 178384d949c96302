"""I. The broker doesn't answer, is down or refuses us: calls end, and all works again when it is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import pytest

from broker_core.conformance.consuming import (
    assert_backlog,
    error_of,
    messages,
    one,
    take_turns,
)
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.requirements import requires
from broker_core.conformance.stubbornness import (
    again_and_again,
)
from broker_core.dispatcher import FairDispatcher
from broker_core.errors import BrokerUnavailable, DispatcherError, PublishFailed
from broker_core.model import Message


@requires("proxy")
class TestBrokerSilence:
    """Connections that are silent, refused or slow."""

    async def test_i3_a_half_open_connection_is_noticed(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """The broker's end dies without a word: a waiting receive recovers by itself and gets the message."""
        proxy = await harness.proxy()
        consumer = await harness.open(namespace, proxy=proxy)
        publisher = await harness.open(namespace)
        waiting = asyncio.ensure_future(consumer.receive(10, wait=40))
        await asyncio.sleep(0.1)
        proxy.half_open()
        (message_id,) = await publisher.publish(messages("a", 1))
        received = await asyncio.wait_for(waiting, deadline.remaining)
        assert [delivery.id for delivery in received] == [message_id]

    async def test_i3_a_silent_broker_is_given_up(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Without an answer calls end with a retryable error in bounded time, and close in two seconds."""
        proxy = await harness.proxy()
        dispatcher = await harness.open(namespace, proxy=proxy)
        await dispatcher.publish(messages("a", 1))
        await one(dispatcher, deadline)
        proxy.swallow("to_client")
        calls = (dispatcher.publish(Message("a")), dispatcher.backlog(), dispatcher.receive(1, wait=0.1))
        for error in await asyncio.wait_for(asyncio.gather(*map(error_of, calls)), 20):
            assert isinstance(error, DispatcherError)
            assert error.retryable
        before = time.monotonic()
        await dispatcher.close()
        assert time.monotonic() - before < 2.5

    async def test_i4_a_broker_that_is_down(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Every verb and open raise BrokerUnavailable, retryable; when it is back all works again."""
        proxy = await harness.proxy()
        dispatcher = await harness.open(namespace, proxy=proxy)
        await dispatcher.publish(messages("a", 2))
        held = await one(dispatcher, deadline)
        await proxy.refuse()
        late = harness.dispatcher(namespace, proxy=proxy)
        # What is sent on a connection that breaks may have been stored, so the first publish may say that.
        assert isinstance(
            await error_of(dispatcher.publish(Message("a"))), (BrokerUnavailable, PublishFailed)
        )
        calls: Mapping[str, Callable[[], Awaitable[object]]] = {
            "open": late.open,
            "publish": lambda: dispatcher.publish(Message("a")),
            "receive": lambda: dispatcher.receive(1, wait=0.2),
            "receive at once": lambda: dispatcher.receive(1),
            "ack": lambda: dispatcher.ack(held),
            "extend": lambda: dispatcher.extend(held),
            "backlog": dispatcher.backlog,
            "dead_letters": dispatcher.dead_letters,
            "redrive": lambda: dispatcher.redrive("a"),
            "purge": lambda: dispatcher.purge("a"),
        }
        errors = await asyncio.wait_for(asyncio.gather(*(error_of(call()) for call in calls.values())), 20)
        for name, error in zip(calls, errors, strict=True):
            assert isinstance(error, BrokerUnavailable), f"{name}: {error!r}"
            assert error.retryable, name
            assert error.__cause__ is not None, name
        await proxy.accept()
        await again_and_again(lambda: dispatcher.ack(held), deadline)
        await assert_backlog(dispatcher, ready=1)

    async def test_i4_few_attempts_a_second(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """While the broker drops every connection at once, receive tries few times a second, then works."""
        proxy = await harness.proxy()
        dispatcher = await harness.open(namespace, proxy=proxy)
        await dispatcher.publish(messages("a", 1))
        proxy.reject()
        before = proxy.accepted
        with pytest.raises(BrokerUnavailable):
            await dispatcher.receive(1, wait=1.2)
        assert proxy.accepted - before <= 20
        await proxy.accept()
        delivery = await again_and_again(lambda: one(dispatcher, deadline), deadline)
        assert delivery.attempt == 1

    @requires("credentials")
    async def test_i4_a_wrong_password_is_final(self, harness: Harness, namespace: str) -> None:
        """open with wrong credentials raises an error that isn't retryable and tells no secret."""
        dispatcher = harness.unauthorised(namespace)
        with pytest.raises(DispatcherError) as caught:
            await dispatcher.open()
        error: BaseException | None = caught.value
        assert isinstance(error, BrokerUnavailable)
        assert not error.retryable
        assert error.__cause__ is not None
        while error is not None:
            assert "wrong-secret" not in f"{error} {error!r}"
            error = error.__cause__
        await dispatcher.close()

    async def test_i6_traffic_through_a_slow_connection(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """With every packet held up, parallel work stays correct: each message once, nothing redelivered."""
        proxy = await harness.proxy()
        dispatcher = await harness.open(namespace, proxy=proxy, lease_seconds=30)
        proxy.delay_seconds = 0.05
        ids = await dispatcher.publish(take_turns(messages("a", 20), messages("b", 20)))
        recorder = Recorder()

        async def consume(dispatcher: FairDispatcher) -> None:
            while len(recorder) < 40:
                deadline.check("40 messages")
                deliveries = await dispatcher.receive(4, wait=0.2)
                recorder.record(deliveries)
                await dispatcher.ack(deliveries)

        await asyncio.gather(*(consume(dispatcher) for _ in range(5)))
        recorder.check(ids)
