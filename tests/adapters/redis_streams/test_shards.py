"""Several shards on one server: customers are served alike wherever they live."""

from collections import Counter

import pytest

from broker_core import Message, open_dispatcher
from fair_redis_streams.shards import shard_of

SHARDS = 3


def customers_of(shard: int, count: int) -> list[str]:
    names = (f"customer-{number}" for number in range(10_000))
    return [name for name in names if shard_of(name, SHARDS) == shard][:count]


@pytest.mark.parametrize("max_messages", [7, 20])
async def test_customers_of_a_crowded_shard_get_their_share(
    url: str, namespace: str, max_messages: int
) -> None:
    customers = [*customers_of(0, 8), *customers_of(1, 1), *customers_of(2, 3)]
    async with open_dispatcher("redis", url=url, namespace=namespace, shards=SHARDS) as dispatcher:
        for customer in customers:
            await dispatcher.publish([Message(customer, b"") for _ in range(400)])
        served: Counter[str] = Counter()
        while sum(served.values()) < 3000:
            got = await dispatcher.receive(max_messages)
            served.update(delivery.customer for delivery in got)
            await dispatcher.ack(got)
        counts = [served[customer] for customer in customers]
        # A visit of each customer and one receive for each shard.
        assert max(counts) - min(counts) <= 2 * dispatcher.settings.quantum + SHARDS * max_messages


async def test_an_idle_shard_earns_no_credit(url: str, namespace: str) -> None:
    (busy,), (late,) = customers_of(0, 1), customers_of(1, 1)
    async with open_dispatcher("redis", url=url, namespace=namespace, shards=SHARDS) as dispatcher:
        await dispatcher.publish([Message(busy, b"") for _ in range(1000)])
        for _ in range(50):
            await dispatcher.ack(await dispatcher.receive(10))
        await dispatcher.publish([Message(late, b"") for _ in range(500)])
        served: Counter[str] = Counter()
        for _ in range(40):
            got = await dispatcher.receive(10)
            served.update(delivery.customer for delivery in got)
            await dispatcher.ack(got)
        assert abs(served[busy] - served[late]) <= 20
