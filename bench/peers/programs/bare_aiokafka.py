"""A bare aiokafka client: a partition a customer, idempotent producer, a commit a batch of 200.

Nothing chooses whose turn it is, and nothing is removed from the broker.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from measuring import BATCH, Task, clocked, main

TOPIC = "bare"


async def prepare(task: Task) -> None:
    """Create the partitions and use each once, so that leaders and coordinator are there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=task.url, request_timeout_ms=60_000)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, task.customers, 1)])
    await admin.close()
    async with producer_of(task) as producer:
        sent = [await producer.send(TOPIC, b"", partition=number) for number in range(task.customers)]
        await asyncio.gather(*sent)
    left = task.customers
    async with consumer_of(task) as consumer:
        while left > 0:
            left -= await take(consumer, lambda _: None)


def producer_of(task: Task) -> AIOKafkaProducer:
    """Make a producer that loses and repeats nothing."""
    return AIOKafkaProducer(bootstrap_servers=task.url, acks="all", enable_idempotence=True)


def consumer_of(task: Task) -> AIOKafkaConsumer:
    """Make a consumer of all partitions."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=task.url,
        group_id="bare",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=BATCH,
    )
    consumer.assign([TopicPartition(TOPIC, number) for number in range(task.customers)])
    return consumer


async def take(consumer: AIOKafkaConsumer, handle: Callable[[bytes], None]) -> int:
    """Handle a batch and commit it; return how many there were."""
    found = await consumer.getmany(timeout_ms=1000, max_records=BATCH)
    for records in found.values():
        for record in records:
            handle(record.value)
    if found:
        await consumer.commit({at: records[-1].offset + 1 for at, records in found.items()})
    return sum(len(records) for records in found.values())


async def publish(task: Task) -> None:
    """200 at a time, each acknowledged."""
    async with producer_of(task) as producer:
        for numbers in task.batches():
            sent = [
                await producer.send(TOPIC, task.payload(number), partition=number % task.customers)
                for number in numbers
            ]
            await asyncio.gather(*sent)


async def consume(task: Task) -> None:
    """All partitions are this consumer's."""
    async with consumer_of(task) as consumer:
        while len(task.handled) < task.total:
            await take(consumer, task.handle)
        task.ended = time.perf_counter()  # disconnecting doesn't count


if __name__ == "__main__":
    main(clocked(publish), clocked(consume), uvloop.run, prepare)
