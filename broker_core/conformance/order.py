"""E. First deliveries of a customer come in the order of publishing."""

from __future__ import annotations

import random
from collections import defaultdict

from broker_core.conformance.consuming import collect, drain, messages, place_of, publish_all, take_turns
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.sizes import Size
from broker_core.model import Message


class TestOrder:
    """Order within a customer; none is promised between customers but fairness."""

    async def test_e1_one_consumer_sees_publish_order(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """16 customers interleaved, single and batched publishes: each customer's order is kept."""
        dispatcher = await harness.open(namespace)
        count = size.pick(short=1000, full=1000, stress=50_000) // 16
        batch = take_turns(*(messages(f"c{number}", count, cost=number % 3 + 1) for number in range(16)))
        for message in batch[:50]:
            await dispatcher.publish(message)
        await publish_all(dispatcher, batch[50:])
        recorder = Recorder()
        await drain([dispatcher], recorder, deadline, max_messages=13)
        places = defaultdict(list)
        for delivery in recorder.deliveries:
            places[delivery.customer].append(place_of(delivery))
        assert places == {f"c{number}": list(range(count)) for number in range(16)}

    async def test_e1_failures_of_some_keep_the_order_of_first_deliveries(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """While a third is nacked and a third released, first deliveries still come in order."""
        chance = random.Random(1)
        dispatcher = await harness.open(namespace, max_attempts=1000)
        await dispatcher.publish(take_turns(messages("a", 100), messages("b", 100)))
        first_places: dict[str, list[int]] = defaultdict(list)
        seen: set[str] = set()
        left = 200
        while left:
            deadline.check(f"an end of {left} messages")
            for delivery in await dispatcher.receive(9, wait=0.5):
                if delivery.id not in seen:
                    seen.add(delivery.id)
                    first_places[delivery.customer].append(place_of(delivery))
                fate = chance.randrange(3)
                if fate == 0:
                    await dispatcher.nack(delivery, delay=chance.choice([0, 0, 0.02]))
                elif fate == 1:
                    await dispatcher.release(delivery)
                else:
                    await dispatcher.ack(delivery)
                    left -= 1
        assert first_places == {"a": list(range(100)), "b": list(range(100))}

    async def test_e1_order_holds_over_publishers(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Of two dispatchers that publish one after the other, what was confirmed first comes first."""
        dispatchers = [await harness.open(namespace) for _ in range(2)]
        for place in range(50):
            await dispatchers[place % 2].publish(Message("a", str(place).encode()))
        received = await collect(dispatchers[0], 50, deadline, max_messages=8)
        assert [place_of(delivery) for delivery in received] == list(range(50))
