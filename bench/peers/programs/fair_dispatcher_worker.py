"""The product: Worker with a handler for each message, full contract."""

from __future__ import annotations

import asyncio

import uvloop
from fair_dispatcher_receive import publish
from measuring import Task, clocked, main

from broker_core import Delivery, Worker, open_dispatcher


async def consume(task: Task) -> None:
    """Until the last message was handled and the worker has drained."""

    async def handle(delivery: Delivery) -> None:
        task.handle(delivery.message.payload)

    async with open_dispatcher(broker="redis", url=task.url, namespace="peers") as d:
        worker = Worker(d, handle, concurrency=128)
        running = asyncio.ensure_future(worker.run())
        await task.all_handled()
        worker.stop()
        await running
        task.ended = None  # the last acks count


if __name__ == "__main__":
    main(clocked(publish), clocked(consume), uvloop.run)
