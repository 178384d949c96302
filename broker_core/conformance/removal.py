"""C. A message that is leased is removed from the broker by somebody else."""

from __future__ import annotations

import pytest

from broker_core.conformance.consuming import assert_backlog, assert_nothing, collect, messages, one, place_of
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.requirements import requires
from broker_core.dispatcher import FairDispatcher
from broker_core.errors import LeaseLost
from broker_core.model import Delivery


async def assert_only_this_is_lost(
    dispatcher: FairDispatcher, deliveries: list[Delivery], gone: Delivery
) -> None:
    """Fail unless extend reports that one as lost, and no other."""
    with pytest.raises(LeaseLost) as error:
        await dispatcher.extend(deliveries)
    assert error.value.lost == [gone.receipt]


async def assert_clean(harness: Harness, namespace: str, dispatcher: FairDispatcher) -> None:
    """Fail unless the broker holds nothing more of the namespace than what is documented to stay."""
    await assert_backlog(dispatcher)
    await assert_backlog(dispatcher, "a")
    assert list(await dispatcher.customers()) == []
    allowed = set(harness.constant_residue(namespace))

    async def only_the_documented() -> bool:
        return set(await harness.residue(namespace)) <= allowed

    await Deadline(harness.residue_seconds).until(only_the_documented, "a residue that is documented")


@requires("removal")
class TestRemoval:
    """What vanished is reported and forgotten; its neighbours are delivered."""

    @pytest.mark.parametrize("verb", ["ack", "nack", "release", "dead_letter"])
    async def test_c9_a_leased_message_that_vanished_is_reported(
        self, harness: Harness, namespace: str, deadline: Deadline, verb: str
    ) -> None:
        """An ack of it succeeds, every other verb loses it alone; then nothing of it is left."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(messages("a", 5))
        held = await collect(dispatcher, 5, deadline)
        gone = held[1]
        await harness.remove_leased(namespace, gone)
        await assert_only_this_is_lost(dispatcher, held, gone)
        if verb == "ack":
            await dispatcher.ack(held)
        else:
            with pytest.raises(LeaseLost) as error:
                await getattr(dispatcher, verb)([gone, held[2]])
            assert error.value.lost == [gone.receipt]
            await dispatcher.ack([one for one in held if one not in (gone, held[2])])
            assert await dispatcher.redrive("a") == (verb == "dead_letter")
            again = await collect(dispatcher, 1, deadline)
            assert again[0].id == held[2].id
            await dispatcher.ack(again)
        await assert_nothing(dispatcher)
        await assert_clean(harness, namespace, dispatcher)

    async def test_c9_a_vanished_message_never_comes_again(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """After the lease its neighbours come to another consumer, it doesn't, in its second attempt too."""
        first, second = [await harness.open(namespace, lease_seconds=1.0) for _ in range(2)]
        await first.publish(messages("a", 4))
        for gone, dispatcher in enumerate((first, second)):
            held = await collect(dispatcher, 4 - gone, deadline)
            assert {delivery.attempt for delivery in held} == {gone + 1}
            (vanishing,) = (delivery for delivery in held if place_of(delivery) == gone)
            await harness.remove_leased(namespace, vanishing)
        rest = await collect(first, 2, deadline)
        assert [place_of(delivery) for delivery in rest] == [2, 3]
        await first.ack(rest)
        await assert_nothing(second, seconds=1.3)
        await assert_clean(harness, namespace, second)

    async def test_c9_the_customer_goes_on(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """When all that a customer had leased vanished, its next messages are delivered and counted."""
        dispatcher = await harness.open(namespace, lease_seconds=1.0)
        await dispatcher.publish(messages("a", 3))
        for delivery in await collect(dispatcher, 3, deadline):
            await harness.remove_leased(namespace, delivery)
        await assert_nothing(dispatcher, seconds=1.3)
        await dispatcher.publish(messages("a", 2))
        held = await one(dispatcher, deadline)
        await assert_backlog(dispatcher, "a", ready=1, leased=1)
        await dispatcher.ack([held, await one(dispatcher, deadline)])
        await assert_clean(harness, namespace, dispatcher)
