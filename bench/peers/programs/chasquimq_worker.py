"""ChasquiMQ, a Rust engine with Python handlers: add_bulk, and Worker with its default concurrency of 100.

https://github.com/jotarios/chasquimq; it needs Redis 8.6 or newer."""

from __future__ import annotations

import asyncio

from chasquimq import Job, Queue, Worker
from measuring import Task, clocked, main


async def publish(task: Task) -> None:
    """add_bulk in batches."""
    async with Queue("all", redis_url=task.url) as queue:
        for numbers in task.batches():
            await queue.add_bulk([{"name": "m", "data": task.payload(number)} for number in numbers])


async def consume(task: Task) -> None:
    """Until the last job was handled."""

    async def handle(job: Job) -> None:
        task.handle(job.data)

    async with Worker("all", handle, redis_url=task.url) as worker:
        running = asyncio.ensure_future(worker.run())
        await task.all_handled()
        await worker.close()
        await asyncio.wait([running], timeout=5)


if __name__ == "__main__":
    main(clocked(publish), clocked(consume))
