"""taskiq-redis: RedisStreamBroker, 32 async tasks and prefetch 32 as in the benchmark that streaQ publishes,
kicks gathered 200 at a time."""

from __future__ import annotations

import asyncio
import logging

import uvloop
from measuring import Task, clocked, main
from taskiq.receiver import Receiver
from taskiq_redis import RedisStreamBroker


def broker_of(task: Task) -> tuple[RedisStreamBroker, object]:
    """Make a broker whose one task notes what it got."""
    broker = RedisStreamBroker(task.url, consumer_id="0", xread_count=100)

    @broker.task(task_name="handle")
    async def handle(payload: str) -> None:
        task.handle(payload)

    return broker, handle


async def publish(task: Task) -> None:
    """Kick 200 at a time."""
    broker, handle = broker_of(task)
    await broker.startup()
    for numbers in task.batches():
        await asyncio.gather(*(handle.kiq(task.payload(number).decode()) for number in numbers))
    await broker.shutdown()


async def consume(task: Task) -> None:
    """Until the last task ran."""
    broker, _ = broker_of(task)
    broker.is_worker_process = True
    finish = asyncio.Event()
    receiver = Receiver(broker, max_async_tasks=32, max_prefetch=32, run_startup=True)
    running = asyncio.ensure_future(receiver.listen(finish))
    await task.all_handled()
    finish.set()
    await asyncio.wait([running], timeout=5)
    running.cancel()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main(clocked(publish), clocked(consume), uvloop.run)
