"""Waiting consumers block in the server: woken at once, silent otherwise."""

import asyncio
import time

from redis.asyncio import Redis

from broker_core import Delivery, FairDispatcher, Message, Worker, open_dispatcher
from fair_redis_streams.wake import SWEEP_SECONDS


async def calls(client: Redis) -> int:
    stats = await client.info("commandstats")
    return sum(entry["calls"] for name, entry in stats.items() if name in {"cmdstat_fcall", "cmdstat_blpop"})


async def test_an_idle_worker_sends_a_command_a_second_at_most(
    dispatcher: FairDispatcher, client: Redis
) -> None:
    async def handler(_: Delivery) -> None:
        raise AssertionError("there is nothing to handle")

    worker = Worker(dispatcher, handler)
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(1.0)
    before, began = await calls(client), time.monotonic()
    await asyncio.sleep(6.0)
    after, seconds = await calls(client), time.monotonic() - began
    worker.stop()
    await running
    assert after - before <= seconds + 1


async def test_many_waiting_receives_share_one_connection(dispatcher: FairDispatcher, client: Redis) -> None:
    before = len(await client.client_list())
    receives = [asyncio.create_task(dispatcher.receive(1, wait=20)) for _ in range(200)]
    await asyncio.sleep(0.5)
    # As many as ask at the same time at most, not one for each.
    assert len(await client.client_list()) - before <= dispatcher.settings.max_connections  # type: ignore[attr-defined]
    await dispatcher.publish([Message(f"c{number}", b"") for number in range(200)])
    got = await asyncio.wait_for(asyncio.gather(*receives), 15)
    assert sorted(deliveries[0].customer for deliveries in got) == sorted(
        f"c{number}" for number in range(200)
    )


async def test_a_sleeper_learns_of_what_becomes_due_sooner(url: str, namespace: str) -> None:
    async with (
        open_dispatcher("redis", url=url, namespace=namespace) as sleeper,
        open_dispatcher("redis", url=url, namespace=namespace) as taker,
    ):
        await taker.publish([Message("acme", b"1")])
        taken = await taker.receive(1)
        # All that the sleeper knows of is the lease, which ends much later.
        sleeping = asyncio.create_task(sleeper.receive(1, wait=20))
        await asyncio.sleep(0.3)
        await taker.nack(taken, delay=0.4)
        began = time.monotonic()
        (again,) = await sleeping
        assert again.id == taken[0].id
        assert 0.35 < time.monotonic() - began < SWEEP_SECONDS - 1
