"""A cancellation passes at once, at whatever point of a call it comes, and nothing is lost by it."""

import asyncio

import pytest
from redis.asyncio import Redis

from broker_core import FairDispatcher, Message, open_dispatcher

TURNS = 40


async def cancelled_after(dispatcher: FairDispatcher, turns: int) -> None:
    receiving = asyncio.create_task(dispatcher.receive(8, wait=5))
    for _ in range(turns):
        await asyncio.sleep(0)
    receiving.cancel()
    done, _ = await asyncio.wait([receiving], timeout=1)
    assert done, f"a cancellation after {turns} turns of the loop did not pass"


@pytest.mark.parametrize("socket_timeout", [None, 3.0])
async def test_at_every_point_of_an_idle_receive(
    url: str, namespace: str, socket_timeout: float | None
) -> None:
    async with (
        Redis.from_url(url, socket_timeout=socket_timeout) as client,
        open_dispatcher("redis", client=client, namespace=namespace) as dispatcher,
    ):
        for turns in range(TURNS):
            await cancelled_after(dispatcher, turns)


async def test_at_every_point_of_a_receive_that_gets_something(dispatcher: FairDispatcher) -> None:
    await dispatcher.publish([Message("acme", b"%d" % number) for number in range(3)])
    for turns in range(TURNS):
        receiving = asyncio.create_task(dispatcher.receive(8))
        for _ in range(turns):
            await asyncio.sleep(0)
        receiving.cancel()
        try:
            got = await receiving
        except asyncio.CancelledError:
            continue
        await dispatcher.release(got)
    got = []
    while len(got) < 3:
        more = await dispatcher.receive(8, wait=10)
        assert more, "what a cancelled receive took did not come back"
        got += more
    assert [(delivery.message.payload, delivery.attempt) for delivery in got] == [
        (b"0", 1),
        (b"1", 1),
        (b"2", 1),
    ]
