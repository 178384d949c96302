"""Customers that share a fixed number of partitions by a hash of their names."""

from __future__ import annotations

import pytest

from broker_core.conformance.consuming import collect, messages
from broker_core.conformance.polling import Deadline
from broker_core.errors import ConfigurationError
from broker_core.model import Backlog, Message
from fair_kafka import cleaning
from tests.adapters.kafka.stage import Stage
from tests.adapters.kafka.test_clean_up import until_empty

CUSTOMERS, PARTITIONS, EACH = 20, 4, 6


async def test_many_customers_share_few_partitions_fairly(stage: Stage, deadline: Deadline) -> None:
    dispatcher, inside = await stage.dispatcher_and_inside(
        hashed_partitions=PARTITIONS, quantum=1, lease_seconds=300
    )
    names = [f"customer-{number}" for number in range(CUSTOMERS)]
    await dispatcher.publish([message for name in names for message in messages(name, EACH)])
    places = await inside.places.of(names)
    assert {place.partition for place in places.values()} == set(range(PARTITIONS))
    assert await inside.topics.partition_count() == PARTITIONS

    deliveries = await collect(dispatcher, CUSTOMERS * EACH, deadline, max_messages=7)
    for round_begin in range(0, CUSTOMERS * EACH, CUSTOMERS):
        served = deliveries[round_begin : round_begin + CUSTOMERS]
        assert {delivery.customer for delivery in served} == set(names)
    for name in names:
        own = [delivery.message.payload for delivery in deliveries if delivery.customer == name]
        assert own == [message.payload for message in messages(name, EACH)]

    await dispatcher.ack(deliveries)
    await until_empty(stage, deadline, hashed_partitions=PARTITIONS)
    assert await dispatcher.backlog() == Backlog()


async def test_a_customer_with_messages_keeps_only_its_own(
    stage: Stage, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning, "PERIOD_SECONDS", 0.05)
    dispatcher, inside = await stage.dispatcher_and_inside(hashed_partitions=1, lease_seconds=300)
    await dispatcher.publish([*messages("gone", 300), *messages("stays", 300)])
    for delivery in await collect(dispatcher, 600, deadline):
        if delivery.customer == "gone":
            await dispatcher.ack(delivery)
        else:
            await dispatcher.release(delivery)

    async def cleaned() -> bool:
        await dispatcher.publish([Message("gone")])
        await dispatcher.ack([one for one in await dispatcher.receive(1) if one.customer == "gone"])
        start, _ = (await stage.spans(hashed_partitions=1))[stage.names.messages, 0]
        return start > 0

    await deadline.until(cleaned, "records of acked messages that are deleted")
    assert (await dispatcher.backlog("stays")).ready + (await dispatcher.backlog("stays")).leased == 300
    assert inside.replica.ledger.partition_count == 1


@pytest.mark.parametrize(("first", "second"), [(4, 0), (0, 4), (4, 8)])
async def test_another_number_is_refused(stage: Stage, first: int, second: int) -> None:
    await stage.open_here(hashed_partitions=first)
    with pytest.raises(ConfigurationError, match=f"FAIRDISPATCH_KAFKA_HASHED_PARTITIONS={first},"):
        await stage.open_here(hashed_partitions=second)
    again = await stage.open_here(hashed_partitions=first)
    assert await again.backlog() == Backlog()
