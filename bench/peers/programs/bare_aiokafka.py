"""A bare aiokafka client: a partition a customer, idempotent producer, a commit a batch of 200.

Nothing chooses whose turn it is, and nothing is removed from the broker.
"""

from __future__ import annotations

import asyncio

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from measuring import BATCH, Task, clocked, main

TOPIC = "bare"


async def prepare(task: Task) -> None:
    """Create the partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=task.url, request_timeout_ms=60_000)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, task.customers, 1)])
    await admin.close()


async def publish(task: Task) -> None:
    """200 at a time, each acknowledged."""
    async with AIOKafkaProducer(bootstrap_servers=task.url, acks="all", enable_idempotence=True) as producer:
        for numbers in task.batches():
            sent = [
                await producer.send(TOPIC, task.payload(number), partition=number % task.customers)
                for number in numbers
            ]
            await asyncio.gather(*sent)


async def consume(task: Task) -> None:
    """All partitions are this consumer's."""
    partitions = [TopicPartition(TOPIC, number) for number in range(task.customers)]
    async with AIOKafkaConsumer(
        bootstrap_servers=task.url,
        group_id="bare",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=BATCH,
    ) as consumer:
        consumer.assign(partitions)
        while len(task.handled) < task.total:
            found = await consumer.getmany(timeout_ms=1000, max_records=BATCH)
            for records in found.values():
                for record in records:
                    task.handle(record.value)
            if found:
                await consumer.commit({at: records[-1].offset + 1 for at, records in found.items()})


if __name__ == "__main__":
    main(clocked(publish), clocked(consume), uvloop.run, prepare)
