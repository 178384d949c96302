"""C. A consumer that dies loses its leases and nothing else; its messages go to another, fairly."""

from __future__ import annotations

import asyncio

from broker_core.conformance.consuming import (
    assert_backlog,
    assert_nothing,
    collect,
    consume_for_ever,
    drain,
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
from broker_core.model import Message


class TestConsumerDeath:
    """Crashed, killed, suspended and closed consumers."""

    @requires("processes")
    async def test_c2_a_killed_worker_loses_nothing(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """SIGKILL of a process that holds leases and is acking others: all is finished by another."""
        dispatcher = await harness.open(namespace, lease_seconds=1)
        ids = await dispatcher.publish(take_turns(*(messages(f"c{number}", 50) for number in range(10))))
        holder = await harness.spawn_worker(namespace, "hold", max_messages=40, lease_seconds=1)
        acker = await harness.spawn_worker(namespace, "ack", max_messages=5, lease_seconds=1)
        await deadline.until(
            lambda: len(holder.received) >= 40 and len(acker.acked) >= 20, "two workers that are busy"
        )
        await acker.kill()
        await holder.kill()
        finished = {told.id for told in acker.acked}
        taken = {told.id for told in [*holder.received, *acker.received]}

        recorder = Recorder()

        async def all_gone() -> bool:
            await drain([dispatcher], recorder, deadline)
            backlog = await dispatcher.backlog()
            return backlog.ready + backlog.leased + backlog.delayed == 0

        await deadline.until(all_gone, "all messages to be finished")
        received = set(recorder.ids)
        assert received | taken >= set(ids), "messages were lost"
        assert not received & finished, "an acked message came again"
        assert received >= taken - {told.id for told in acker.received}, "what the holder held was lost"
        assert not recorder.duplicates

    @requires("processes", "lease_enforced_by")
    async def test_c2_a_suspended_worker_is_replaced_and_fenced(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """A process that hangs longer than its lease loses the message; its ack on waking changes nothing."""
        dispatcher = await harness.open(namespace, lease_seconds=0.5)
        worker = await harness.spawn_worker(
            namespace, "work", max_messages=1, work_seconds=0.3, lease_seconds=0.5
        )
        await dispatcher.publish(messages("a", 1))
        await deadline.until(lambda: bool(worker.received), "a worker that works")
        worker.suspend()
        recovered = await one(dispatcher, deadline)
        assert (recovered.id, recovered.attempt) == (worker.received[0].id, 2)
        await dispatcher.extend(recovered, 60)
        worker.resume()
        await asyncio.sleep(0.5)  # it has woken up and tried to settle
        await assert_backlog(dispatcher, leased=1)
        await dispatcher.ack(recovered)
        await assert_backlog(dispatcher)

    async def test_c5_a_message_whose_consumers_die_is_buried(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Consumers that crash max_attempts times on a message bury it; the reason says expiry."""
        dispatcher = await harness.open(namespace, lease_seconds=0.3, max_attempts=3)
        await dispatcher.publish([Message("bad", b"poison"), Message("good", b"")])
        for attempt in (1, 2, 3):
            mortal = await harness.open_mortal(namespace, lease_seconds=0.3, max_attempts=3)
            deliveries = await collect(mortal, 2 if attempt == 1 else 1, deadline)
            await mortal.ack([delivery for delivery in deliveries if delivery.customer == "good"])
            assert [one.attempt for one in deliveries if one.customer == "bad"] == [attempt]
            await harness.crash(mortal)

        async def buried() -> bool:
            await assert_nothing(dispatcher)
            return (await dispatcher.backlog("bad")).dead == 1

        await deadline.until(buried, "a dead letter")
        (dead,) = await dispatcher.dead_letters("bad")
        assert dead.attempts == 3
        assert dead.message.payload == b"poison"
        assert "expire" in dead.reason
        await assert_backlog(dispatcher, dead=1)

    @requires("processes")
    async def test_c5_a_message_that_kills_its_process_is_buried(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """The same with real processes that end hard on it."""
        dispatcher = await harness.open(namespace, lease_seconds=0.3, max_attempts=2)
        await dispatcher.publish(messages("bad", 1))
        for attempt in (1, 2):
            worker = await harness.spawn_worker(namespace, "die", lease_seconds=0.3, max_attempts=2)
            assert await worker.ended() == 3
            assert [told.attempt for told in worker.received] == [attempt]

        async def buried() -> bool:
            await assert_nothing(dispatcher)
            return (await dispatcher.backlog("bad")).dead == 1

        await deadline.until(buried, "a dead letter")
        await assert_backlog(dispatcher, dead=1)

    async def test_c6_closing_gives_back_what_is_held(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """What a closing dispatcher holds is ready at once, in its old place, with its old attempt."""
        closing = await harness.open(namespace, lease_seconds=300, max_attempts=1)
        ids = await closing.publish(messages("a", 5))
        held = await collect(closing, 4, deadline)
        await closing.ack(held[1])
        await closing.close()
        other = await harness.open(namespace)
        again = await collect(other, 4, deadline)
        assert [delivery.id for delivery in again] == [ids[0], *ids[2:]]
        assert {delivery.attempt for delivery in again} == {1}

    async def test_c6_closing_without_release_loses_nothing(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """What a dispatcher held that was closed with release=False comes to another by itself."""
        closing = await harness.open(namespace, lease_seconds=0.5)
        ids = await closing.publish(messages("a", 3))
        held = await collect(closing, 2, deadline)
        await closing.close(release=False)
        other = await harness.open(namespace, lease_seconds=60)
        again = await collect(other, 3, deadline)
        assert sorted(delivery.id for delivery in again) == sorted(ids)
        assert {delivery.attempt for delivery in again if delivery.id in {one.id for one in held}} == {2}

    @requires("lease_enforced_by")
    async def test_c6_closing_without_release_keeps_the_leases(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """close(release=False) leaves leases to be settled elsewhere by receipt."""
        closing = await harness.open(namespace, lease_seconds=60)
        await closing.publish(messages("a", 2))
        held = await collect(closing, 2, deadline)
        await closing.close(release=False)
        other = await harness.open(namespace)
        await assert_nothing(other)
        await assert_backlog(other, leased=2)
        await other.ack(held)
        await assert_backlog(other)

    async def test_c7_reclaimers_do_not_share_a_message(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """When many leases end at once under several waiting consumers, each message goes to one of them."""
        mortal = await harness.open_mortal(namespace, lease_seconds=0.5)
        ids = await mortal.publish(take_turns(messages("a", 100), messages("b", 100)))
        await collect(mortal, 200, deadline)
        others = [await harness.open(namespace, lease_seconds=60) for _ in range(4)]
        recorder = Recorder()
        async with running(
            consume_for_ever(other, recorder, str(number), max_messages=5)
            for number, other in enumerate(others)
        ):
            await harness.crash(mortal)
            await deadline.until(lambda: len(recorder) >= 200, "the messages of the dead consumer")
        recorder.check(ids)
        assert {delivery.attempt for delivery in recorder.deliveries} == {2}

    async def test_c10_recovered_messages_are_shared_fairly(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """What a dead consumer held of one customer does not delay another customer's one message."""
        count = size.pick(short=2000, full=10_000)
        flood, single = harness.customers(namespace, 2)
        mortal = await harness.open_mortal(namespace, lease_seconds=1.5)
        await publish_all(mortal, messages(flood, count))
        await collect(mortal, count, deadline, max_messages=1000)
        await harness.crash(mortal)
        dispatcher = await harness.open(namespace, lease_seconds=300)
        recorder = Recorder()

        async def some_recovered() -> bool:
            recorder.record(await dispatcher.receive(1))
            return len(recorder) > 0

        await deadline.until(some_recovered, "a recovered message")
        await dispatcher.publish(messages(single, 1))
        recorder = Recorder()
        recorder.record(await collect(dispatcher, count, deadline, max_messages=100))
        place = [delivery.customer for delivery in recorder.deliveries].index(single)
        assert place <= 2 * dispatcher.settings.quantum
        assert len(set(recorder.ids)) == count
