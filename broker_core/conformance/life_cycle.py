"""H. Opening, using at once from everywhere, closing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import pytest

from broker_core.conformance.consuming import (
    assert_backlog,
    collect,
    error_of,
    messages,
    publish_all,
    take_turns,
)
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.requirements import requires
from broker_core.conformance.sizes import Size
from broker_core.dispatcher import FairDispatcher
from broker_core.errors import Closed, DispatcherError
from broker_core.model import CustomerPolicy, Message

CLOSE_SECONDS = 2.0

VERBS: Mapping[str, Callable[[FairDispatcher], Awaitable[object]]] = {
    "publish": lambda dispatcher: dispatcher.publish(Message("a")),
    "publish nothing": lambda dispatcher: dispatcher.publish([]),
    "receive": lambda dispatcher: dispatcher.receive(),
    "ack": lambda dispatcher: dispatcher.ack([]),
    "nack": lambda dispatcher: dispatcher.nack([]),
    "release": lambda dispatcher: dispatcher.release([]),
    "dead_letter": lambda dispatcher: dispatcher.dead_letter([]),
    "extend": lambda dispatcher: dispatcher.extend([]),
    "set_policy": lambda dispatcher: dispatcher.set_policy("a", CustomerPolicy()),
    "get_policy": lambda dispatcher: dispatcher.get_policy("a"),
    "backlog": lambda dispatcher: dispatcher.backlog(),
    "customers": lambda dispatcher: dispatcher.customers(),
    "dead_letters": lambda dispatcher: dispatcher.dead_letters(),
    "redrive": lambda dispatcher: dispatcher.redrive("a"),
    "purge": lambda dispatcher: dispatcher.purge("a"),
    "purge_dead_letters": lambda dispatcher: dispatcher.purge_dead_letters("a"),
    "open": lambda dispatcher: dispatcher.open(),
}


async def assert_closed(dispatcher: FairDispatcher, verbs: set[str]) -> None:
    """Fail unless each of these verbs raises Closed."""
    for name in verbs:
        error = await error_of(VERBS[name](dispatcher))
        assert isinstance(error, Closed), f"{name} of a dispatcher that isn't open: {error!r}"


async def close_in_time(dispatcher: FairDispatcher) -> None:
    """Close; fail if it takes longer than it may."""
    before = time.monotonic()
    await dispatcher.close()
    assert time.monotonic() - before < CLOSE_SECONDS


class TestLifeCycle:
    """From construction to the end."""

    async def test_h1_before_open_nothing_works(self, harness: Harness, namespace: str) -> None:
        """A dispatcher that was only constructed raises Closed everywhere; closing it is fine."""
        dispatcher = harness.dispatcher(namespace)
        await assert_closed(dispatcher, set(VERBS) - {"open"})
        assert dispatcher.capabilities == harness.capabilities
        await close_in_time(dispatcher)
        await assert_closed(dispatcher, set(VERBS))

    @requires("proxy")
    async def test_h1_constructing_connects_to_nothing(self, harness: Harness, namespace: str) -> None:
        """Only open connects; after close no connection is left."""
        proxy = await harness.proxy()
        dispatcher = harness.dispatcher(namespace, proxy=proxy)
        await asyncio.sleep(0.1)
        assert proxy.accepted == 0
        await dispatcher.open()
        await dispatcher.publish(Message("a"))
        assert proxy.open_connections > 0
        await dispatcher.close()
        await asyncio.sleep(0.1)
        assert proxy.open_connections == 0

    async def test_h2_after_close_nothing_works(self, harness: Harness, namespace: str) -> None:
        """After close every verb raises Closed; closing again, and from two tasks, is fine."""
        dispatcher = await harness.open(namespace)
        await assert_closed(dispatcher, {"open"})  # it is open, and is opened once
        await asyncio.gather(dispatcher.close(), dispatcher.close(release=False))
        await dispatcher.close()
        await assert_closed(dispatcher, set(VERBS))

    async def test_h2_closing_during_open_leaves_nothing_open(self, harness: Harness, namespace: str) -> None:
        """Closed at any moment of its opening, a dispatcher is closed, and open says so."""
        for turns in range(30):
            dispatcher = harness.dispatcher(namespace)
            opening = asyncio.ensure_future(error_of(dispatcher.open()))
            for _ in range(turns):
                await asyncio.sleep(0)
            was_open = opening.done()
            await close_in_time(dispatcher)
            error = await opening
            assert error is None if was_open else isinstance(error, DispatcherError), error
            await assert_closed(dispatcher, set(VERBS))

    async def test_h2_a_cancelled_close_still_closes(self, harness: Harness, namespace: str) -> None:
        """Cancelling a task that closes doesn't leave the dispatcher half closed."""
        dispatcher = await harness.open(namespace)
        closing = asyncio.ensure_future(dispatcher.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        await assert_closed(dispatcher, set(VERBS))
        await close_in_time(dispatcher)

    async def test_h3_close_ends_a_blocked_receive(self, harness: Harness, namespace: str) -> None:
        """close while receives of several tasks wait: they raise Closed, and it takes less than 2 s."""
        dispatcher = await harness.open(namespace)
        waiting = [asyncio.ensure_future(dispatcher.receive(10, wait=30)) for _ in range(3)]
        await asyncio.sleep(0.1)
        await close_in_time(dispatcher)
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Closed] * 3

    async def test_h3_close_is_quick_while_leases_are_held(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """close with many leases held and nobody reading takes less than 2 s and gives all back."""
        dispatcher = await harness.open(namespace)
        await publish_all(dispatcher, take_turns(messages("a", 1000), messages("b", 1000)))
        await collect(dispatcher, 1500, deadline, max_messages=500)
        await close_in_time(dispatcher)
        await assert_backlog(await harness.open(namespace), ready=2000)

    async def test_h3_close_during_traffic_loses_nothing(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Closing while receives and acks are under way loses and duplicates nothing."""
        other = await harness.open(namespace)
        ids = await publish_all(other, take_turns(messages("a", 400), messages("b", 400)))
        recorder = Recorder()
        for turn in range(8):
            dispatcher = await harness.open(namespace, lease_seconds=300, max_attempts=1)

            async def consume(dispatcher: FairDispatcher = dispatcher) -> None:
                while True:
                    deliveries = await dispatcher.receive(5, wait=1)
                    await dispatcher.ack(deliveries)
                    recorder.record(deliveries)

            consumers = [asyncio.ensure_future(consume()) for _ in range(3)]
            await asyncio.sleep(0.004 * turn)
            await close_in_time(dispatcher)
            outcomes = await asyncio.gather(*consumers, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} <= {Closed}, outcomes
        # A close between hand-over and record may have acked what no test code saw: none was recorded twice.
        backlog = await other.backlog()
        rest = await collect(other, backlog.ready, deadline)
        recorder.record(rest)
        assert not recorder.duplicates
        assert {delivery.attempt for delivery in rest} <= {1}
        assert set(recorder.ids) <= set(ids)

    async def test_h4_short_lived_consumers_finish_everything(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """Up to 20 consumers at a time each take a part of many messages and leave: all are acked, once."""
        publisher = await harness.open(namespace)
        count = size.pick(short=1500, full=5000)
        queues = [messages(f"c{number}", count // 10) for number in range(10)]
        ids = await publish_all(publisher, take_turns(*queues))
        recorder = Recorder()

        async def visit(number: int) -> None:
            # A broker that stalls while a consumer closes leaves its messages to the end of the lease.
            async with harness.dispatcher(namespace, lease_seconds=5) as dispatcher:
                for _ in range(3):
                    deliveries = await dispatcher.receive(11)
                    acked = deliveries[: number % 12]
                    await dispatcher.ack(acked)
                    recorder.record(acked, str(number))

        number = 0
        while len(recorder) < count:
            deadline.check(f"{count} acks; there were {len(recorder)}")
            await asyncio.gather(*(visit(number + place) for place in range(20)))
            number += 20
        recorder.check(ids)
        await assert_backlog(publisher)

    async def test_h6_many_dispatchers_may_be_first(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """20 dispatchers open, publish to and receive from a new namespace at once without an error."""
        dispatchers = await asyncio.gather(*(harness.open(namespace) for _ in range(20)))
        answers = await asyncio.gather(*(d.publish(messages("a", 5)) for d in dispatchers))
        received = await asyncio.gather(*(d.receive(5, wait=5) for d in dispatchers))
        recorder = Recorder()
        for place, deliveries in enumerate(received):
            recorder.record(deliveries, str(place))
        recorder.record(await collect(dispatchers[0], 100 - len(recorder), deadline))
        recorder.check(message_id for answer in answers for message_id in answer)

    async def test_h7_close_without_use_leaves_nothing_held(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Used as a context manager, it gives back what the block leaves, also on an error."""
        publisher = await harness.open(namespace)
        await publisher.publish(messages("a", 3))

        async def fail_while_holding() -> None:
            async with harness.dispatcher(namespace) as dispatcher:
                await collect(dispatcher, 3, deadline)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail_while_holding()
        await assert_backlog(publisher, ready=3)
