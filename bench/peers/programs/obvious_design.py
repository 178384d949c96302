"""A stream for each customer, all read in each loop; every customer has messages, its best case."""

from __future__ import annotations

import redis.asyncio
import uvloop
from measuring import Task, clocked, main

GROUP, QUANTUM = "g", 10


async def publish(task: Task) -> None:
    """XADD in pipelines of 200."""
    async with redis.asyncio.Redis.from_url(task.url) as client:
        for numbers in task.batches():
            async with client.pipeline(transaction=False) as pipe:
                for number in numbers:
                    pipe.xadd(task.customer(number), {"m": task.payload(number)})
                await pipe.execute()


async def consume(task: Task) -> None:
    """XREADGROUP over all streams, then XACK and XDEL in one pipeline."""
    streams = [task.customer(number) for number in range(task.customers)]
    async with redis.asyncio.Redis.from_url(task.url, socket_timeout=60) as client:
        async with client.pipeline(transaction=False) as pipe:
            for stream in streams:
                pipe.xgroup_create(stream, GROUP, id="0", mkstream=True)
            await pipe.execute()
        command = ["XREADGROUP", "GROUP", GROUP, "c", "COUNT", QUANTUM, "STREAMS", *streams]
        command += [">"] * len(streams)
        while found := await client.execute_command(*command):
            async with client.pipeline(transaction=False) as pipe:
                for stream, entries in found:
                    for _, fields in entries:
                        task.handle(fields[b"m"])
                    ids = [entry_id for entry_id, _ in entries]
                    pipe.xack(stream, GROUP, *ids)
                    pipe.xdel(stream, *ids)
                await pipe.execute()


if __name__ == "__main__":
    main(clocked(publish), clocked(consume), uvloop.run)
