"""All backlog lies on one consumer's partitions: when does the other get work?

`python -m bench.kafka_idle_consumer`. The stock assignor divides partitions by count, whatever is in them.
The product's dispatchers own none.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from bench import machine
from broker_core import FairDispatcher, Message, open_dispatcher
from tests.servers.kafka_jars import kafka_jars
from tests.servers.kafka_local import LocalKafka

PARTITIONS, BACKLOG, BATCH = 8, 4_000, 10
WORK_SECONDS = 0.02
WATCHED_SECONDS = 30.0

Seconds = dict[str, float | None]


async def _busy(receive: Callable[[], Awaitable[int]], start: float, until: float) -> float | None:
    """Take and work on batches; return the seconds until the first one, None if none came in time."""
    first = None
    while time.perf_counter() < until:
        if await receive() > 0:
            first = first or time.perf_counter() - start
            await asyncio.sleep(WORK_SECONDS)
    return first


async def stock(url: str) -> Seconds:
    """Two members of a group; records on the partitions of the first alone."""
    admin = AIOKafkaAdminClient(bootstrap_servers=url)
    await admin.start()
    await admin.create_topics([NewTopic("stock", PARTITIONS, 1)])
    await admin.close()
    consumers = [
        AIOKafkaConsumer(
            "stock",
            bootstrap_servers=url,
            group_id="stock",
            auto_offset_reset="earliest",
            max_poll_records=BATCH,
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        )
        for _ in range(2)
    ]
    for consumer in consumers:
        await consumer.start()
    while not all(len(consumer.assignment()) == PARTITIONS // 2 for consumer in consumers):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    owned = sorted(at.partition for at in consumers[0].assignment())
    async with AIOKafkaProducer(bootstrap_servers=url) as producer:
        for number in range(BACKLOG):
            await producer.send("stock", b"x" * 100, partition=owned[number % len(owned)])
        await producer.flush()
    start = time.perf_counter()
    until = start + WATCHED_SECONDS

    async def take(consumer: AIOKafkaConsumer) -> int:
        found = await consumer.getmany(timeout_ms=200, max_records=BATCH)
        return sum(len(records) for records in found.values())

    first, second = await asyncio.gather(
        *(_busy(partial(take, consumer), start, until) for consumer in consumers)
    )
    for consumer in consumers:
        await consumer.stop()
    return {"first": first, "second": second}


async def product(url: str) -> Seconds:
    """Two dispatchers; messages of one customer alone, so all on one partition."""
    async with (
        open_dispatcher("kafka", bootstrap_servers=url, namespace="idle") as one,
        open_dispatcher("kafka", bootstrap_servers=url, namespace="idle") as two,
    ):
        for at in range(0, BACKLOG, 200):
            await one.publish([Message("customer", b"x" * 100) for _ in range(at, min(at + 200, BACKLOG))])
        start = time.perf_counter()
        until = start + WATCHED_SECONDS / 3

        async def take(dispatcher: FairDispatcher) -> int:
            deliveries = await dispatcher.receive(BATCH, wait=0.2)
            await dispatcher.ack(deliveries)
            return len(deliveries)

        first, second = await asyncio.gather(
            *(_busy(partial(take, dispatcher), start, until) for dispatcher in (one, two))
        )
    return {"first": first, "second": second}


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
) -> None:
    """Measure both on one server, print, write JSON."""
    server = LocalKafka(kafka_jars())
    try:
        server.start()
        result: dict[str, object] = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine.describe(),
            "server": server.version,
            "watched seconds": WATCHED_SECONDS,
            "stock assignor": asyncio.run(stock(server.url)),
            "product": asyncio.run(product(server.url)),
        }
    finally:
        server.stop()
    print(json.dumps(result, indent=1))
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
