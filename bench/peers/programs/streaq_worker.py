"""streaQ with the settings of its own benchmark (benchmarks/bench_streaq.py in its repository): concurrency
32, uvloop, the client's checks off, enqueue_many."""

from __future__ import annotations

import asyncio

import coredis
import uvloop
from measuring import Task, clocked, main
from streaq import Worker

coredis.Config.optimized = True
handled: list[str] = []


def worker_of(task: Task) -> tuple[Worker, object]:
    """Make a worker whose one task notes what it got."""
    worker = Worker(
        redis_url=task.url, concurrency=32, handle_signals=False, anyio_kwargs={"use_uvloop": True}
    )

    @worker.task(name="handle")
    async def handle(payload: str) -> None:
        task.handle(payload)

    return worker, handle


async def publish(task: Task) -> None:
    """enqueue_many in batches."""
    worker, handle = worker_of(task)
    async with worker:
        for numbers in task.batches():
            await worker.enqueue_many([handle.enqueue(task.payload(number).decode()) for number in numbers])


async def consume(task: Task) -> None:
    """Until the last task ran."""
    worker, _ = worker_of(task)
    running = asyncio.ensure_future(worker.run_async())
    await task.all_handled()
    running.cancel()
    await asyncio.wait([running], timeout=5)


if __name__ == "__main__":
    main(clocked(publish), clocked(consume), uvloop.run)
