"""F. The bound of weighted deficit round robin over every window, under load and over restarts."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

import pytest

from broker_core.conformance.consuming import (
    collect,
    consume_for_ever,
    drain,
    messages,
    publish_all,
    running,
    take_turns,
)
from broker_core.conformance.fairness_checks import (
    Served,
    assert_bounded,
    one_by_one,
    served,
    worst_jain_index,
)
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.requirements import requires
from broker_core.conformance.sizes import Size
from broker_core.conformance.stubbornness import again_and_again
from broker_core.dispatcher import FairDispatcher
from broker_core.model import CustomerPolicy, Message

WINDOW = 1000
JAIN = 0.999


async def unequal_backlogs(harness: Harness, namespace: str, dispatcher: FairDispatcher, size: Size) -> int:
    """Publish for ten customers, the last with ten to a hundred times the first; return the least backlog."""
    least = size.pick(short=250, full=1000)
    most = size.pick(short=2500, full=20_000, stress=100_000)
    backlogs = [least + place * (most - least) // 9 for place in range(10)]
    names = harness.customers(namespace, 10)
    await publish_all(
        dispatcher, [m for name, count in zip(names, backlogs, strict=True) for m in messages(name, count)]
    )
    return least


def assert_fair(order: Sequence[Served], quantum: int, schedulers: int = 1) -> None:
    """Fail unless an order that is known exactly keeps the bound and, in windows of 1,000, the index.

    The index is for one scheduler; several add up their bounds.
    """
    assert_bounded([[one] for one in order], quantum, schedulers=schedulers)
    if schedulers > 1:
        return
    worst = worst_jain_index(order, WINDOW)
    assert worst >= JAIN, f"Jain's index is {worst:.6f} in the worst window of {WINDOW} hand-overs"


class TestFairnessBound:
    """Shares of customers that stay backlogged."""

    @pytest.mark.parametrize("consumers", [1, 8])
    async def test_f3_unequal_backlogs_get_equal_shares(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size, consumers: int
    ) -> None:
        """Ten very different backlogs, 1 and 8 consumers in turn: the bound and Jain's index."""
        dispatchers = [await harness.open(namespace) for _ in range(consumers)]
        least = await unequal_backlogs(harness, namespace, dispatchers[0], size)
        recorder = Recorder()
        schedulers = harness.schedulers(consumers)
        # Where each consumer has its own schedule, what others have fetched ahead isn't on it: stop before
        # that is all there is of the smallest backlog.
        count = 10 * least // (1 if schedulers == 1 else 2)
        await drain(dispatchers, recorder, deadline, max_messages=10, count=count)
        assert_fair(served(recorder.deliveries), dispatchers[0].settings.quantum, schedulers)

    @requires("fairness_scope")
    async def test_f3_consumers_at_the_same_time_share_one_schedule(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """The same with 8 consumers that call all at once, in the order of the broker's clock."""
        dispatchers = [await harness.open(namespace) for _ in range(8)]
        least = await unequal_backlogs(harness, namespace, dispatchers[0], size)
        recorder = Recorder()
        async with running(
            consume_for_ever(dispatcher, recorder, str(place), max_messages=10)
            for place, dispatcher in enumerate(dispatchers)
        ):
            await deadline.until(lambda: len(recorder) >= 10 * least, "most messages")
        batches = [served(batch) for batch in recorder.batches_in_broker_order()]
        assert len(batches) > 20
        assert_bounded(batches, dispatchers[0].settings.quantum)

    @pytest.mark.parametrize("max_messages", [15, 7])
    async def test_f15_a_visit_cut_short_goes_on(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size, max_messages: int
    ) -> None:
        """receive(15) and receive(7) at quantum 10, three consumers in turn: shares stay equal."""
        dispatchers = [await harness.open(namespace, quantum=10) for _ in range(3)]
        count = size.pick(short=300, full=2000)
        names = harness.customers(namespace, 5)
        await publish_all(dispatchers[0], [m for name in names for m in messages(name, count)])
        recorder = Recorder()
        await drain(dispatchers, recorder, deadline, max_messages=max_messages)
        assert len(recorder) == 5 * count
        assert_fair(served(recorder.deliveries), 10, harness.schedulers(3))

    @requires("weight")
    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("consumers", [1, pytest.param(3, marks=requires("fairness_scope"))])
    async def test_f5_variable_costs_and_weights_keep_the_bound(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size, consumers: int, seed: int
    ) -> None:
        """Random costs, also above the quantum, weights and sizes of receive, several consumers in turn."""
        chance = random.Random(seed)
        quantum = chance.choice([1, 3, 10, 50])
        largest = chance.choice([1, 20, 20, 5 * quantum])
        dispatchers = [await harness.open(namespace, quantum=quantum) for _ in range(consumers)]
        weights = {name: chance.choice([1, 1, 2, 3, 10]) for name in harness.customers(namespace, 6)}
        for customer, weight in weights.items():
            await dispatchers[0].set_policy(customer, CustomerPolicy(weight=weight))
        count = size.pick(short=100, full=1000)
        queues = [
            [Message(name, b"", cost=chance.randint(1, largest)) for _ in range(count)] for name in weights
        ]
        await publish_all(dispatchers[0], take_turns(*queues))
        recorder = Recorder()
        for turn in range(6 * count):
            recorder.record(await dispatchers[turn % consumers].receive(chance.randint(1, 25)))
            if len(recorder) == 6 * count:
                break
        assert len(recorder) == 6 * count, "a receive was empty while messages were ready"
        assert_bounded(one_by_one(recorder.deliveries), quantum, weights)

    async def test_f12_fairness_outlives_a_pause(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Receives between which the dispatcher does something else follow one schedule."""
        dispatcher = await harness.open(namespace)
        names = harness.customers(namespace, 5)
        await publish_all(dispatcher, [m for name in names for m in messages(name, 100)])
        recorder = Recorder()
        while len(recorder) < 500:
            deadline.check("an end of the messages")
            deliveries = await dispatcher.receive(37)
            recorder.record(deliveries)
            await dispatcher.ack(deliveries)
            await dispatcher.backlog()
        assert_bounded(one_by_one(recorder.deliveries), dispatcher.settings.quantum)

    @requires("fairness_scope")
    async def test_f12_fairness_outlives_the_dispatchers(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Dispatchers that are opened, used for one receive and closed share one schedule."""
        publisher = await harness.open(namespace)
        names = harness.customers(namespace, 5)
        await publish_all(publisher, [m for name in names for m in messages(name, 250)])
        recorder = Recorder()
        while len(recorder) < 1250:
            deadline.check("an end of the messages")
            async with harness.dispatcher(namespace) as dispatcher:
                deliveries = await dispatcher.receive(37)
                recorder.record(deliveries)
                await dispatcher.ack(deliveries)
        assert_fair(served(recorder.deliveries), publisher.settings.quantum)

    @requires("restartable")
    @pytest.mark.deadline(150)
    @pytest.mark.timeout(180)
    async def test_f12_fairness_outlives_the_broker_when_all_is_acked(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Killing and restarting the broker between two receives that cut a visit short."""
        dispatcher = await harness.open(namespace)
        names = harness.customers(namespace, 5)
        await publish_all(dispatcher, [m for name in names for m in messages(name, 200)])
        recorder = Recorder()
        await drain([dispatcher], recorder, deadline, max_messages=7, count=333)
        await harness.restart_broker()
        while len(recorder) < 1000:
            deadline.check("an end of the messages")
            deliveries = await again_and_again(lambda: dispatcher.receive(7, wait=5), deadline)
            recorder.record(deliveries)
            await dispatcher.ack(deliveries)
        recorder.check(set(recorder.ids))
        assert_bounded(one_by_one(recorder.deliveries), dispatcher.settings.quantum)

    @requires("restartable", "lease_enforced_by")
    async def test_f12_fairness_outlives_the_broker(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Killing and restarting the broker in the middle of a visit keeps the shares equal."""
        dispatcher = await harness.open(namespace)
        names = harness.customers(namespace, 5)
        await publish_all(dispatcher, [m for name in names for m in messages(name, 250)])
        recorder = Recorder()
        recorder.record(await collect(dispatcher, 333, deadline, max_messages=7))
        await harness.restart_broker()
        while len(recorder) < 1250:
            deadline.check("an end of the messages")
            recorder.record(await dispatcher.receive(7, wait=5))
        recorder.check(set(recorder.ids))
        assert_fair(served(recorder.deliveries), dispatcher.settings.quantum)

    @requires("processes", "fairness_scope")
    async def test_f12_processes_share_one_schedule(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """Consumers in three processes: the bound, in the order of the broker's clock."""
        publisher = await harness.open(namespace)
        count = size.pick(short=500, full=5000)
        names = harness.customers(namespace, 10)
        await publish_all(publisher, take_turns(*(messages(name, count) for name in names)))
        workers = [
            await harness.spawn_worker(namespace, "ack", max_messages=10, on_signal=True) for _ in range(3)
        ]
        for worker in workers:
            worker.go()
        await deadline.until(
            lambda: sum(len(worker.acked) for worker in workers) >= 10 * count, "all messages"
        )
        assert all(worker.acked for worker in workers), "a process got nothing"
        moments: dict[datetime, list[Served]] = defaultdict(list)
        for worker in workers:
            for told in worker.received:
                moments[told.lease_until].append(Served(told.customer, 1))
        assert_bounded([moments[end] for end in sorted(moments)], publisher.settings.quantum)
