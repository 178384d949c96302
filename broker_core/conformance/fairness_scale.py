"""F. Many customers: the cost of a hand-over depends on nobody's number."""

from __future__ import annotations

import logging
import time

import pytest

from broker_core.conformance.consuming import (
    assert_backlog,
    collect,
    consume_for_ever,
    messages,
    publish_all,
    running,
    take_turns,
)
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.sizes import Size
from broker_core.dispatcher import FairDispatcher
from broker_core.model import Message


async def fastest_receive(dispatcher: FairDispatcher, count: int, deadline: Deadline) -> float:
    """Receive and ack so many messages, 100 at a time; return the seconds of the quickest receive of 100."""
    times = []
    while count:
        deadline.check(f"{count} more messages")
        before = time.perf_counter()
        deliveries = await dispatcher.receive(100)
        if len(deliveries) == 100:
            times.append(time.perf_counter() - before)
        await dispatcher.ack(deliveries)
        count -= len(deliveries)
    return min(times)


class TestFairnessAtScale:
    """Thousands of customers, and more consumers than customers."""

    @pytest.mark.deadline(150)  # making thousands of queues takes its time
    @pytest.mark.timeout(180)
    async def test_f11_many_customers_cost_no_more_than_few(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """Thousands of customers × 1 message: all delivered, a receive takes ≤ 2 × that with ten customers.

        Customers that were active before change nothing either. Quantum 1, so that a receive of 100 makes
        100 visits in each case; the quickest of many is compared, since it is disturbed least.
        """
        dispatcher = await harness.open(namespace, quantum=1)
        most = dispatcher.capabilities.max_customers
        many = min(size.pick(short=3000, full=10_000), size.pick(short=most // 4, full=most))
        few_messages = take_turns(*(messages(f"few-{number}", 300) for number in range(10)))
        many_messages = [Message(f"many-{number}") for number in range(many)]
        fastest: dict[str, float] = {}
        for _ in range(5):  # a busy machine may disturb a measurement, but not all of them
            for name, batch in (
                ("few", few_messages),
                ("many", many_messages),
                ("few, many idle", few_messages),
            ):
                assert len(set(await publish_all(dispatcher, batch))) == len(batch)
                seconds = await fastest_receive(dispatcher, len(batch), deadline)
                fastest[name] = min(fastest.get(name, seconds), seconds)
                await assert_backlog(dispatcher)
            if max(fastest.values()) <= 2 * fastest["few"]:
                return
        pytest.fail(f"the quickest receives of 100, in seconds: {fastest}")

    async def test_f11_each_of_many_customers_is_served_once_a_round(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """500 customers × 3 messages at quantum 1: every customer's first comes before anybody's second."""
        count = size.pick(short=500, full=5000)
        dispatcher = await harness.open(namespace, quantum=1)
        names = harness.customers(namespace, count)
        await publish_all(dispatcher, [m for name in names for m in messages(name, 3)])
        deliveries = await collect(dispatcher, 3 * count, deadline, max_messages=70)
        for start in range(0, 3 * count, count):
            assert {one.customer for one in deliveries[start : start + count]} == set(names)

    async def test_f13_more_consumers_than_customers(
        self,
        harness: Harness,
        namespace: str,
        deadline: Deadline,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """15 consumers × 3 customers × 100 messages: each once, and no error is logged."""
        dispatchers = [await harness.open(namespace, lease_seconds=60) for _ in range(15)]
        recorder = Recorder()
        with caplog.at_level(logging.WARNING):
            async with running(
                consume_for_ever(dispatcher, recorder, str(number), max_messages=4)
                for number, dispatcher in enumerate(dispatchers)
            ):
                ids = []
                for message in take_turns(*(messages(name, 100) for name in "abc")):
                    ids += await dispatchers[0].publish(message)
                await deadline.until(lambda: len(recorder) >= 300, "all messages")
        recorder.check(ids)
        assert not caplog.records
