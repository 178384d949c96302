"""An operator removes keys under running consumers: what is gone is gone, and everything else goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from broker_core.conformance.consuming import running
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.dispatcher import FairDispatcher
from broker_core.errors import LeaseLost
from tests.faults.messages import message_of
from tests.faults.scene import Scene, scene

LEASE_SECONDS = 1.0


async def flush_all(client: Redis, here: Scene) -> None:
    await client.flushall()


async def flush_functions_too(client: Redis, here: Scene) -> None:
    await client.flushall()
    await client.function_flush()


async def delete_the_namespace(client: Redis, here: Scene) -> None:
    async for key in client.scan_iter(f"{{{here.namespace}:*"):
        await client.delete(key)


async def delete_a_stream(client: Redis, here: Scene) -> None:
    await client.delete(f"{{{here.namespace}:0}}:ready:a")


async def delete_the_scheduler(client: Redis, here: Scene) -> None:
    await client.delete(f"{{{here.namespace}:0}}:ring", f"{{{here.namespace}:0}}:deficit")


async def consume(dispatcher: FairDispatcher, recorder: Recorder) -> None:
    while True:
        deliveries = await dispatcher.receive(2, wait=0.5)
        recorder.record(deliveries)
        await asyncio.sleep(0.01)
        try:
            await dispatcher.ack(deliveries)
        except LeaseLost:
            continue


@pytest.mark.parametrize(
    "harm",
    [flush_all, flush_functions_too, delete_the_namespace, delete_a_stream, delete_the_scheduler],
    ids=lambda it: it.__name__,
)
async def test_service_goes_on(
    redis7: object,
    tmp_path: Path,
    deadline: Deadline,
    harm: Callable[[Redis, Scene], Awaitable[None]],
) -> None:
    recorder = Recorder()
    async with scene(tmp_path, lease_seconds=LEASE_SECONDS) as here, here.admin() as client:
        async with here.dispatcher("publisher") as publisher, here.dispatcher("consumer") as consumer:
            async with running([consume(consumer, recorder), consume(consumer, recorder)]):
                before = await publisher.publish(
                    [message_of(f"{name}/p/{n}") for n in range(50) for name in "ab"]
                )
                await deadline.until(lambda: len(recorder) >= 10, "consumers at work")
                await harm(client, here)
                after = await publisher.publish(
                    [message_of(f"{name}/q/{n}") for n in range(20) for name in "abc"]
                )
                await deadline.until(lambda: set(recorder.ids) >= set(after), "what was published afterwards")
                if harm is delete_a_stream:
                    kept = {one for one, name in zip(before, "ab" * 50, strict=True) if name == "b"}
                    await deadline.until(lambda: set(recorder.ids) >= kept, "what was not removed")
            assert set(recorder.ids) <= {*before, *after}
            new = [one for one in recorder.ids if one in set(after)]
            assert len(new) == len(set(new)), "messages published afterwards came twice"
        await client.flushall()
