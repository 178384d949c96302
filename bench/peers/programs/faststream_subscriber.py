"""FastStream on a Redis stream with a consumer group, messages one by one; max_records lets it read many.

https://faststream.ag2.ai/latest/redis/streams/groups/ and …/streams/batch/"""

from __future__ import annotations

import logging

import uvloop
from faststream.redis import RedisBroker, StreamSub
from measuring import BATCH, Task, clocked, main


async def publish(task: Task) -> None:
    """XADD one by one through its pipeline argument, batches of 200."""
    async with RedisBroker(task.url, logger=None) as broker:
        client = await broker.connect()
        for numbers in task.batches():
            async with client.pipeline() as pipe:
                for number in numbers:
                    await broker.publish(task.payload(number), stream="all", pipeline=pipe)
                await pipe.execute()


async def consume(task: Task) -> None:
    """Until the last message was handled."""
    broker = RedisBroker(task.url, logger=None)

    @broker.subscriber(
        stream=StreamSub("all", group="g", consumer="c", last_id=">", max_records=BATCH, polling_interval=10)
    )
    async def handle(body: bytes) -> None:
        task.handle(body)

    async with broker:
        client = await broker.connect()
        await client.xgroup_create("all", "g", id="0", mkstream=True)
        await broker.start()
        await task.all_handled()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main(clocked(publish), clocked(consume), uvloop.run)
