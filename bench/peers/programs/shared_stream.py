"""One stream for all customers with a consumer group: no fairness, no recovery, no attempts."""

from __future__ import annotations

import asyncio

import redis.asyncio
import uvloop
from measuring import BATCH, Task, clocked, main

STREAM, GROUP, TASKS = "all", "g", 2


async def publish(task: Task) -> None:
    """XADD in pipelines of 200."""
    batches = iter(task.batches())
    async with redis.asyncio.Redis.from_url(task.url) as client, asyncio.TaskGroup() as group:

        async def one() -> None:
            for numbers in batches:
                async with client.pipeline(transaction=False) as pipe:
                    for number in numbers:
                        pipe.xadd(STREAM, {"c": task.customer(number), "m": task.payload(number)})
                    await pipe.execute()

        for _ in range(TASKS):
            group.create_task(one())


async def consume(task: Task) -> None:
    """XREADGROUP 200, then XACK and XDEL in one pipeline."""
    async with redis.asyncio.Redis.from_url(task.url) as client:
        await client.xgroup_create(STREAM, GROUP, id="0")

        async def one(name: str) -> None:
            while found := await client.xreadgroup(GROUP, name, {STREAM: ">"}, count=BATCH):
                ((_, entries),) = found
                for _, fields in entries:
                    task.handle(fields[b"m"])
                ids = [entry_id for entry_id, _ in entries]
                async with client.pipeline(transaction=False) as pipe:
                    pipe.xack(STREAM, GROUP, *ids)
                    pipe.xdel(STREAM, *ids)
                    await pipe.execute()

        async with asyncio.TaskGroup() as group:
            for number in range(TASKS):
                group.create_task(one(f"c{number}"))


if __name__ == "__main__":
    main(clocked(publish), clocked(consume), uvloop.run)
