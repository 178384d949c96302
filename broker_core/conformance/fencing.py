"""B. A verb of somebody who no longer owns the lease changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import pytest

from broker_core.conformance.consuming import assert_backlog, assert_nothing, collect, error_of, messages, one
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.dispatcher import FairDispatcher
from broker_core.errors import InvalidArgument, LeaseLost
from broker_core.model import Delivery

LEASE_SECONDS = 0.4

Verb = Callable[[FairDispatcher, list[Delivery]], Awaitable[object]]
UNFORGIVING: Mapping[str, Verb] = {
    "nack": lambda dispatcher, held: dispatcher.nack(held),
    "delayed nack": lambda dispatcher, held: dispatcher.nack(held, delay=5),
    "release": lambda dispatcher, held: dispatcher.release(held),
    "dead_letter": lambda dispatcher, held: dispatcher.dead_letter(held),
    "extend": lambda dispatcher, held: dispatcher.extend(held),
}
ALL: Mapping[str, Verb] = {"ack": lambda dispatcher, held: dispatcher.ack(held), **UNFORGIVING}


async def assert_lost(name: str, dispatcher: FairDispatcher, held: list[Delivery]) -> None:
    """Fail unless the verb raises LeaseLost for all of these deliveries."""
    error = await error_of(ALL[name](dispatcher, held))
    assert isinstance(error, LeaseLost), f"{name} of a lost lease: {error!r}"
    assert sorted(error.lost) == sorted(delivery.receipt for delivery in held), name
    assert not error.retryable


class TestFencing:
    """Double settling, late settling, settling what is gone."""

    async def test_b5_ack_of_what_is_gone_succeeds(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """A second ack, and the ack of a purged message, succeed and change nothing."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(messages("a", 2))
        acked, purged = await collect(dispatcher, 2, deadline)
        await dispatcher.ack(acked)
        await dispatcher.ack(acked)
        await dispatcher.purge("a")
        await dispatcher.ack([purged, acked])
        await assert_backlog(dispatcher)

    async def test_b5_ack_after_another_finished_it_succeeds(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """A's lease ends, B buries the message, it is redriven and acked by C: A's late ack succeeds."""
        slow, other = [await harness.open(namespace, lease_seconds=LEASE_SECONDS) for _ in range(2)]
        await slow.publish(messages("a", 1))
        late = await one(slow, deadline)
        await other.dead_letter(await one(other, deadline))
        await other.redrive("a")
        await other.ack(await one(other, deadline))
        await slow.ack(late)
        await assert_backlog(slow)

    async def test_b5_other_verbs_of_what_is_gone_are_lost(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """nack, release, dead_letter and extend of an acked or purged message raise LeaseLost."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(messages("a", 2))
        acked, purged = await collect(dispatcher, 2, deadline)
        await dispatcher.ack(acked)
        await dispatcher.purge("a")
        for name in UNFORGIVING:
            await assert_lost(name, dispatcher, [acked])
            await assert_lost(name, dispatcher, [purged])
        await assert_backlog(dispatcher)
        await assert_nothing(dispatcher)

    async def test_b5_a_settled_delivery_is_settled(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """After nack, release or dead_letter every verb of the same receipt is lost, ack too."""
        dispatcher = await harness.open(namespace, max_attempts=100)
        for settled in ("nack", "delayed nack", "release", "dead_letter"):
            await dispatcher.publish(messages(settled, 1))
            held = await collect(dispatcher, 1, deadline)
            await ALL[settled](dispatcher, held)
            before = await dispatcher.backlog(settled)
            for name in ALL:
                await assert_lost(name, dispatcher, held)
            assert await dispatcher.backlog(settled) == before
            await dispatcher.purge(settled)

    @pytest.mark.parametrize("consumers", ["two", "same"])
    async def test_b9_the_old_owner_is_fenced(
        self, harness: Harness, namespace: str, deadline: Deadline, consumers: str
    ) -> None:
        """After A's lease ended and B received it, A's verbs raise LeaseLost; B's lease and ack are unharmed.

        That holds too when A and B are the same dispatcher.
        """
        old = await harness.open(namespace, lease_seconds=LEASE_SECONDS)
        new = old if consumers == "same" else await harness.open(namespace, lease_seconds=LEASE_SECONDS)
        await old.publish(messages("a", 3))
        lost = await collect(old, 3, deadline)
        owned = await collect(new, 3, deadline)
        assert [delivery.id for delivery in owned] == [delivery.id for delivery in lost]
        await new.extend(owned, 60)
        for name in ALL:
            await assert_lost(name, old, lost)
        await assert_backlog(new, "a", leased=3)
        await new.nack(owned[1], delay=60)
        await new.ack([owned[0], owned[2]])
        await assert_backlog(new, "a", delayed=1)

    async def test_b9_attempt_numbers_are_no_fence(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Released and received again, a message has the same attempt: the first receipt stays void."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(messages("a", 1))
        first = await collect(dispatcher, 1, deadline)
        await dispatcher.release(first)
        second = await one(dispatcher, deadline)
        assert second.attempt == first[0].attempt == 1
        for name in ALL:
            await assert_lost(name, dispatcher, first)
        await dispatcher.ack(second)

    async def test_b9_the_others_of_a_batch_take_effect(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """LeaseLost names the lost deliveries of a batch; for the others the verb took effect."""
        dispatcher = await harness.open(namespace, max_attempts=100)
        for name, verb in UNFORGIVING.items():
            await dispatcher.publish(messages(name, 4))
            held = await collect(dispatcher, 4, deadline)
            await dispatcher.ack(held[1:3])
            with pytest.raises(LeaseLost) as error:
                await verb(dispatcher, held)
            assert sorted(error.value.lost) == sorted(one.receipt for one in held[1:3]), name
            left = await dispatcher.backlog(name)
            expected = {"nack": "ready", "delayed nack": "delayed", "release": "ready", "dead_letter": "dead"}
            assert getattr(left, expected.get(name, "leased")) == 2, name
            await dispatcher.purge(name)

    async def test_b15_what_is_no_receipt_is_refused(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """A text that no adapter of this kind made is InvalidArgument, and nothing of the batch changes."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(messages("a", 1))
        held = await one(dispatcher, deadline)
        for wrong in ("", "x", "0" * 500, "سلام", "a.b.c:d", f" {held.receipt}"):
            for verb in (dispatcher.ack, dispatcher.nack, dispatcher.release, dispatcher.extend):
                with pytest.raises(InvalidArgument):
                    await verb([held.receipt, wrong])
        with pytest.raises(InvalidArgument):
            await dispatcher.ack([held, 1])  # type: ignore[list-item]
        await assert_backlog(dispatcher, "a", leased=1)
        await dispatcher.ack(held)

    async def test_b16_a_receipt_of_another_namespace_settles_nothing_here(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Settling through a dispatcher of another namespace touches the messages of neither."""
        here = await harness.open(namespace)
        there = await harness.open(harness.namespace())
        for dispatcher in (here, there):
            await dispatcher.publish(messages("a", 1))
        held, kept = await one(here, deadline), await one(there, deadline)
        for name, verb in ALL.items():
            error = await error_of(verb(there, [held]))
            # There the message doesn't exist, and then ack succeeds.
            assert isinstance(error, (LeaseLost, InvalidArgument)) or name == "ack", name
        await assert_backlog(here, leased=1)
        await assert_backlog(there, leased=1)
        await here.ack(held)
        await there.ack(kept)
