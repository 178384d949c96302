"""A server at its memory limit refuses new messages and goes on being emptied."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from broker_core import FairDispatcher, Message
from broker_core.errors import BrokerFull


@asynccontextmanager
async def at_its_limit(client: Redis) -> AsyncIterator[None]:
    """Let the server be full."""
    await client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        await client.config_set("maxmemory", 0)


async def test_publishing_is_refused_and_consuming_goes_on(dispatcher: FairDispatcher, client: Redis) -> None:
    await dispatcher.publish([Message("acme", b"%d" % number) for number in range(10)])
    async with at_its_limit(client):
        with pytest.raises(BrokerFull) as refused:
            await dispatcher.publish([Message("acme", b"too much")])
        assert refused.value.retryable
        assert refused.value.__cause__ is not None

        got = await dispatcher.receive(10)
        assert [delivery.message.payload for delivery in got] == [b"%d" % number for number in range(10)]
        await dispatcher.extend(got)
        await dispatcher.nack(got[0], delay=0.01, reason="later")
        await dispatcher.nack(got[1])
        await dispatcher.release(got[2])
        await dispatcher.dead_letter(got[3], "never")
        await dispatcher.ack(got[4:])
        again = [*await dispatcher.receive(10), *await dispatcher.receive(10, wait=5)]
        assert sorted(delivery.message.payload for delivery in again) == [b"0", b"1", b"2"]
        await dispatcher.ack(again)
        assert await dispatcher.redrive("acme") == 1
        assert await dispatcher.purge("acme") == 1
        backlog = await dispatcher.backlog()
        assert (backlog.ready, backlog.leased, backlog.delayed, backlog.dead) == (0, 0, 0, 0)

    await dispatcher.publish([Message("acme", b"there is room again")])


async def test_a_batch_of_several_calls_is_refused_as_one(dispatcher: FairDispatcher, client: Redis) -> None:
    async with at_its_limit(client):
        with pytest.raises(BrokerFull):
            await dispatcher.publish([Message(f"c{number}", b"x") for number in range(1200)])
    assert (await dispatcher.backlog()).ready == 0
