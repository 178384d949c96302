"""The product: receive in batches and ack, full contract."""

from __future__ import annotations

import asyncio

import uvloop
from measuring import BATCH, Task, clocked, main

from broker_core import Message, open_dispatcher

TASKS = 2


async def publish(task: Task) -> None:
    """Batches by two tasks."""
    batches = iter(task.batches())
    async with (
        open_dispatcher(broker="redis", url=task.url, namespace="peers") as d,
        asyncio.TaskGroup() as group,
    ):

        async def one() -> None:
            for numbers in batches:
                await d.publish([Message(task.customer(number), task.payload(number)) for number in numbers])

        for _ in range(TASKS):
            group.create_task(one())


async def consume(task: Task) -> None:
    """Receive, handle, ack by two tasks."""
    async with (
        open_dispatcher(broker="redis", url=task.url, namespace="peers") as d,
        asyncio.TaskGroup() as group,
    ):

        async def one() -> None:
            while len(task.handled) < task.total:
                deliveries = await d.receive(BATCH, wait=0.2)
                for delivery in deliveries:
                    task.handle(delivery.message.payload)
                await d.ack(deliveries)

        for _ in range(TASKS):
            group.create_task(one())


if __name__ == "__main__":
    main(clocked(publish), clocked(consume), uvloop.run)
