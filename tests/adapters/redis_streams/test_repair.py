"""What a function that failed half way has left is found and mended."""

import pytest
from redis.asyncio import Redis

from broker_core import FairDispatcher, Message
from broker_core.errors import BrokerUnavailable


async def test_a_customer_that_fell_out_of_the_ring_is_put_back(
    dispatcher: FairDispatcher, client: Redis, namespace: str
) -> None:
    await dispatcher.publish([Message(customer, b"1") for customer in ("a", "b", "c", "d")])
    shard = f"{{{namespace}:0}}"
    await client.lrem(f"{shard}:ring", 1, "a")  # it still counts as a member
    await client.hdel(f"{shard}:deficit", "b")  # it stands in the ring without being one
    await client.lrem(f"{shard}:ring", 1, "c")
    await client.hdel(f"{shard}:deficit", "c")
    # Any error of a function is the sign to look.
    await client.set(f"{shard}:dead:e", "not a sorted set")
    with pytest.raises(BrokerUnavailable):
        await dispatcher.dead_letters("e")
    got: set[str] = set()
    while len(got) < 4:
        deliveries = await dispatcher.receive(10, wait=10)
        assert deliveries, f"only {got} came"
        got |= {delivery.customer for delivery in deliveries}
    assert got == {"a", "b", "c", "d"}


async def test_a_customer_that_stands_in_the_ring_twice(
    dispatcher: FairDispatcher, client: Redis, namespace: str
) -> None:
    await dispatcher.publish([Message("a", b"%d" % number) for number in range(30)])
    await client.rpush(f"{{{namespace}:0}}:ring", "a", "a")
    got = []
    while deliveries := await dispatcher.receive(7):
        got += deliveries
    assert [delivery.message.payload for delivery in got] == [b"%d" % number for number in range(30)]
    assert await client.exists(f"{{{namespace}:0}}:ring") == 0


async def test_a_ring_that_is_lost_in_the_middle_of_a_visit(
    dispatcher: FairDispatcher, client: Redis, namespace: str
) -> None:
    await dispatcher.publish([Message("a", b"%d" % number) for number in range(20)])
    assert len(await dispatcher.receive(3)) == 3
    await client.delete(f"{{{namespace}:0}}:ring", f"{{{namespace}:0}}:deficit")
    await dispatcher.publish(Message("a", b"20"))
    got = []
    while deliveries := await dispatcher.receive(7):
        got += deliveries
    assert [delivery.message.payload for delivery in got] == [b"%d" % number for number in range(3, 21)]
