"""F. Whose message is next: small cases whose outcome can be told by hand."""

from __future__ import annotations

from collections import Counter
from math import ceil

from broker_core.conformance.consuming import (
    assert_backlog,
    assert_nothing,
    collect,
    drain,
    messages,
    one,
    publish_all,
    take_turns,
)
from broker_core.conformance.fairness_checks import assert_bounded, one_by_one
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.requirements import requires
from broker_core.conformance.sizes import Size
from broker_core.dispatcher import FairDispatcher
from broker_core.model import CustomerPolicy, Delivery, Message


class TestFairness:
    """Turns, floods, idle time, pauses and costs."""

    async def test_f1_customers_take_turns(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """AA BB CC published, receive(1), quantum 1 → A B C A B C."""
        names = harness.customers(namespace, 3)
        dispatcher = await harness.open(namespace, quantum=1)
        await dispatcher.publish([message for name in names for message in messages(name, 2)])
        order = [(await one(dispatcher, deadline)).customer for _ in range(6)]
        assert order == names * 2

    async def test_f1_a_turn_is_a_quantum(self, harness: Harness, namespace: str, deadline: Deadline) -> None:
        """With quantum 3 each visit hands over three messages, whether they are asked for singly or not."""
        names = harness.customers(namespace, 2)
        for max_messages in (1, 2, 5):
            dispatcher = await harness.open(namespace, quantum=3)
            await dispatcher.publish([message for name in names for message in messages(name, 6)])
            deliveries = await collect(dispatcher, 12, deadline, max_messages=max_messages)
            assert [one.customer for one in deliveries] == [name for name in names * 2 for _ in range(3)]
            await dispatcher.ack(deliveries)
            # Where each dispatcher schedules for itself, one that was just used would be a second schedule.
            await dispatcher.close()

    async def test_f2_a_flood_does_not_delay_another(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """Behind 10,000 messages of A, B's one is among the next active × quantum + leased deliveries."""
        flood, single = harness.customers(namespace, 2)
        dispatcher = await harness.open(namespace)
        await publish_all(dispatcher, messages(flood, size.pick(short=3000, full=10_000, stress=1_000_000)))
        for max_messages in (1, 7, 100):
            await collect(dispatcher, 25, deadline, max_messages=max_messages)
            await dispatcher.publish(messages(single, 1))
            next_ones = await collect(
                dispatcher, 2 * dispatcher.settings.quantum, deadline, max_messages=max_messages
            )
            assert single in {delivery.customer for delivery in next_ones}, max_messages

    @requires("weight")
    async def test_f4_weights_are_shares(self, harness: Harness, namespace: str, deadline: Deadline) -> None:
        """Weights 1:2:5 give shares 1:2:5 within 5 %, and exactly the bound."""
        weights = dict(zip(harness.customers(namespace, 3), (1, 2, 5), strict=True))
        dispatcher = await harness.open(namespace)
        for customer, weight in weights.items():
            await dispatcher.set_policy(customer, CustomerPolicy(weight=weight))
        await publish_all(dispatcher, [m for c, weight in weights.items() for m in messages(c, 150 * weight)])
        deliveries = await collect(dispatcher, 1200, deadline, max_messages=17)
        assert_bounded(one_by_one(deliveries), dispatcher.settings.quantum, weights)
        for start in (0, 333):
            shares = Counter(delivery.customer for delivery in deliveries[start : start + 800])
            for customer, weight in weights.items():
                assert abs(shares[customer] - 100 * weight) <= 5 * weight

    @requires("weight")
    async def test_f4_a_change_of_weight_works_at_once(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """A new weight counts within one round, for messages that wait already; None is weight 1 again."""
        a, b = harness.customers(namespace, 2)
        dispatcher = await harness.open(namespace)
        await publish_all(dispatcher, take_turns(messages(a, 900), messages(b, 900)))
        old = 1, 1
        for new in ((5, 1), (1, 4), (1, 1)):
            await dispatcher.set_policy(a, CustomerPolicy(weight=new[0]) if new[0] > 1 else None)
            await dispatcher.set_policy(b, CustomerPolicy(weight=new[1]))
            one_round = dispatcher.settings.quantum * max(sum(old), sum(new))
            await collect(dispatcher, one_round, deadline, max_messages=13)
            ten_rounds = 10 * dispatcher.settings.quantum * sum(new)
            shares = Counter(
                one.customer for one in await collect(dispatcher, ten_rounds // 2, deadline, max_messages=13)
            )
            for customer, weight in zip((a, b), new, strict=True):
                expected = weight * ten_rounds / 2 / sum(new)
                assert abs(shares[customer] - expected) <= dispatcher.settings.quantum * weight, new
            old = new

    async def test_f6_idle_time_earns_no_credit(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """A customer that often had one message, or none for long, gets no more than its share later."""
        often, busy = harness.customers(namespace, 2)
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(messages(busy, 900))
        for _ in range(20):  # each visit ends with most of its quantum unused
            await dispatcher.publish(messages(often, 1))
            await collect(dispatcher, 21, deadline, max_messages=4)
        await collect(dispatcher, 100, deadline)
        await dispatcher.publish(messages(often, 150))
        deliveries = await collect(dispatcher, 300, deadline, max_messages=8)
        assert_bounded(one_by_one(deliveries), dispatcher.settings.quantum)

    async def test_f7_a_lone_customer_gets_everything(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Alone, a customer fills a receive as well at quantum 1 as at a quantum without limit."""
        calls = {}
        for quantum in (1, 10, 1_000_000):
            dispatcher = await harness.open(harness.namespace(), quantum=quantum)
            await publish_all(dispatcher, messages("a", 2000))
            recorder = Recorder()
            await drain([dispatcher], recorder, deadline, max_messages=200)
            assert len(recorder) == 2000
            calls[quantum] = len(recorder.batches)
        assert max(calls[1], calls[10]) * 0.95 <= calls[1_000_000], calls

    async def test_f8_a_customer_that_fails_keeps_to_its_share(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """While everything of A is nacked at once, redeliveries count as A's share and others keep theirs."""
        failing, *others = harness.customers(namespace, 3)
        dispatcher = await harness.open(namespace, max_attempts=1000)
        await dispatcher.publish(take_turns(messages(failing, 50), *(messages(name, 150) for name in others)))
        recorder = Recorder()

        async def settle(dispatcher: FairDispatcher, deliveries: list[Delivery]) -> None:
            await dispatcher.nack([one for one in deliveries if one.customer == failing])
            await dispatcher.ack([one for one in deliveries if one.customer != failing])

        await drain([dispatcher], recorder, deadline, max_messages=9, count=450, settle=settle)
        assert len(recorder) >= 450
        assert_bounded(one_by_one(recorder.deliveries[:430]), dispatcher.settings.quantum)

    async def test_f8_delayed_messages_hold_nobody_up(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """While all of A is delayed, every receive gets something of the others, who share equally."""
        delayed, *others = harness.customers(namespace, 3)
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(messages(delayed, 20))
        await dispatcher.nack(await collect(dispatcher, 20, deadline), delay=60)
        await dispatcher.publish(take_turns(*(messages(name, 100) for name in others)))
        recorder = Recorder()
        await drain([dispatcher], recorder, deadline, max_messages=11)
        assert Counter(one.customer for one in recorder.deliveries) == dict.fromkeys(others, 100)
        assert_bounded(one_by_one(recorder.deliveries), dispatcher.settings.quantum)
        await assert_backlog(dispatcher, delayed=20)

    @requires("paused")
    async def test_f8_a_paused_customer_waits_and_holds_nobody_up(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Paused: nothing is handed over, publishing goes on, others flow; unpaused: all comes, in order."""
        paused, *others = harness.customers(namespace, 3)
        dispatcher = await harness.open(namespace)
        waiting = await harness.open(namespace)
        ids = await dispatcher.publish(messages(paused, 20))
        held = await collect(dispatcher, 5, deadline)
        await dispatcher.set_policy(paused, CustomerPolicy(paused=True))
        ids += await dispatcher.publish(messages(paused, 20))
        await dispatcher.nack(held[:1])
        await dispatcher.release(held[1:2])
        await dispatcher.ack(held[2:])
        await assert_nothing(dispatcher, seconds=0.2)
        await dispatcher.publish(take_turns(*(messages(name, 50) for name in others)))
        recorder = Recorder()
        await drain([dispatcher], recorder, deadline, max_messages=7)
        assert Counter(one.customer for one in recorder.deliveries) == dict.fromkeys(others, 50)
        await assert_backlog(dispatcher, paused, ready=37)

        await dispatcher.set_policy(paused, CustomerPolicy(paused=False))
        again = await collect(waiting, 37, deadline)
        assert [one.id for one in again] == [*ids[:2], *ids[5:]]

    @requires("paused")
    async def test_f8_unpausing_wakes_a_waiting_receive(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """A customer paused before it ever published is kept back, and removing its policy hands over."""
        dispatcher = await harness.open(namespace)
        other = await harness.open(namespace)
        await other.set_policy("a", CustomerPolicy(paused=True))
        await other.publish(messages("a", 1))
        await assert_nothing(dispatcher, seconds=0.2)
        await other.set_policy("a", None)
        assert (await one(dispatcher, deadline)).customer == "a"

    async def test_f16_the_wait_of_a_newcomer_is_bounded(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """One that becomes ready with head cost c waits ⌈c/q⌉·Σq + ΣC units at most, whatever waits."""
        *busy, newcomer = harness.customers(namespace, 6)
        dispatcher = await harness.open(namespace)
        quantum = dispatcher.settings.quantum
        await publish_all(
            dispatcher, take_turns(*(messages(c, 300, cost=place + 1) for place, c in enumerate(busy)))
        )
        for cost in (1, 10, 25, 60):
            await collect(dispatcher, 17, deadline, max_messages=3)
            await dispatcher.publish(messages(newcomer, 1, cost=cost))
            units = 0
            while (delivery := (await collect(dispatcher, 1, deadline))[0]).customer != newcomer:
                units += delivery.message.cost
            assert units <= ceil(cost / quantum) * quantum * len(busy) + sum(range(1, len(busy) + 1)), cost

    async def test_f17_receive_finds_what_is_ready_whatever_it_costs(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Costs of hundreds of quanta: each receive returns something at once until nothing is ready."""
        dispatcher = await harness.open(namespace, quantum=1, max_cost=100_000)
        await dispatcher.publish(
            [Message(f"c{place % 10}", b"", cost=100_000 - 7777 * (place % 10)) for place in range(50)]
        )
        for _ in range(50):
            assert len(await dispatcher.receive(1)) == 1
        await assert_nothing(dispatcher)

    async def test_f18_leaving_and_joining_keeps_the_turn(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """A customer that drains and publishes again queues up behind the others, quantum 1."""
        a, b, c = harness.customers(namespace, 3)
        dispatcher = await harness.open(namespace, quantum=1)
        await dispatcher.publish([*messages(a, 1), *messages(b, 3), *messages(c, 3)])
        order = []
        for _ in range(3):
            order += [(await one(dispatcher, deadline)).customer for _ in range(3)]
            await dispatcher.publish(messages(a, 1))
        assert order == [a, b, c, *[b, c, a] * 2]
