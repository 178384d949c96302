"""The product: receive in batches and ack, full contract."""

from __future__ import annotations

import asyncio
import time

import uvloop
from measuring import BATCH, Task, clocked, main

from broker_core import FairDispatcher, Message, open_dispatcher

TASKS = 2


def dispatcher(task: Task) -> FairDispatcher:
    """Make one for the broker that the URL is of; Kafka's bootstrap servers are no URL."""
    if task.url.startswith("redis:"):
        return open_dispatcher(broker="redis", url=task.url, namespace="peers")
    if task.url.startswith("amqp:"):
        return open_dispatcher(broker="rabbitmq", url=task.url, namespace="peers")
    return open_dispatcher(broker="kafka", bootstrap_servers=task.url, namespace="peers")


async def prepare(task: Task) -> None:
    """Meet every customer once, so that its queue or partition exists."""
    async with dispatcher(task) as d:
        for at in range(0, task.customers, BATCH):
            some = range(at, min(at + BATCH, task.customers))
            await d.publish([Message(task.customer(number), b"") for number in some])
        while deliveries := await d.receive(BATCH, wait=2):
            await d.ack(deliveries)


async def publish(task: Task) -> None:
    """Batches by two tasks."""
    batches = iter(task.batches())
    async with (
        dispatcher(task) as d,
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
        dispatcher(task) as d,
        asyncio.TaskGroup() as group,
    ):

        async def one() -> None:
            while len(task.handled) < task.total:
                deliveries = await d.receive(BATCH, wait=0.2)
                for delivery in deliveries:
                    task.handle(delivery.message.payload)
                await d.ack(deliveries)
                if deliveries:
                    # The last ack counts, not that the other task waits for more.
                    task.ended = time.perf_counter()

        for _ in range(TASKS):
            group.create_task(one())


if __name__ == "__main__":
    main(clocked(publish), clocked(consume), uvloop.run, prepare)
