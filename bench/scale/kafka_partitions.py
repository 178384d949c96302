"""Empty partitions of Kafka, one topic."""

from __future__ import annotations

import asyncio
import time

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import KafkaError

from bench.scale.model import (
    MOST_BYTES,
    STEPS,
    Growth,
    Step,
    disk_bytes,
    open_files,
    resident_bytes,
)
from tests.servers.kafka_jars import kafka_jars
from tests.servers.kafka_local import LocalKafka

TOPIC = "customers"
CHUNK = 500
REQUEST_SECONDS = 120.0
RESTART_SECONDS = 300.0


async def _admin(server: LocalKafka) -> AIOKafkaAdminClient:
    admin = AIOKafkaAdminClient(bootstrap_servers=server.url, request_timeout_ms=int(REQUEST_SECONDS * 1000))
    await admin.start()
    return admin


async def add(server: LocalKafka, count: int, target: int, until: float) -> int:
    """Add partitions in steps; return how many there are in the end."""
    admin = await _admin(server)
    try:
        while count < target and time.monotonic() < until:
            new = min(count + CHUNK, target)
            if count == 0:
                await admin.create_topics([NewTopic(TOPIC, new, 1)])
            else:
                await admin.create_partitions({TOPIC: NewPartitions(new)})
            count = new
            await _until_led(admin, count)
    finally:
        await admin.close()
    return count


async def _until_led(admin: AIOKafkaAdminClient, count: int) -> None:
    """Wait until every partition has a leader."""
    while True:
        (topic,) = await admin.describe_topics([TOPIC])
        if sum(partition["leader"] >= 0 for partition in topic["partitions"]) >= count:
            return
        await asyncio.sleep(0.05)


async def _restart(server: LocalKafka, count: int) -> float:
    start = time.monotonic()
    server.kill()
    server.launch()
    while time.monotonic() - start < RESTART_SECONDS:
        try:
            admin = await _admin(server)
            try:
                await asyncio.wait_for(_until_led(admin, count), RESTART_SECONDS)
                return time.monotonic() - start
            finally:
                await admin.close()
        except (OSError, TimeoutError, KafkaError, ValueError):
            await asyncio.sleep(0.1)
    return float("inf")


async def grow(most: int, most_seconds: float) -> Growth:
    """Add partitions, as many as time and memory allow."""
    server = LocalKafka(kafka_jars(), heap="4g")
    steps: list[Step] = []
    ended = f"{most:,} were wanted"
    try:
        server.start()
        empty, count, until = resident_bytes(server.pid), 0, time.monotonic() + most_seconds
        for target in (step for step in STEPS if step <= most):
            start, before = time.monotonic(), count
            try:
                count = await add(server, count, target, until)
            except (KafkaError, OSError) as error:
                ended = f"the broker answered {error!r}; the end of its log: {server.output()[-300:]}"
                break
            seconds, resident = time.monotonic() - start, resident_bytes(server.pid)
            steps.append(
                Step(
                    count=count,
                    made_per_second=(count - before) / seconds,
                    resident_bytes=resident,
                    bytes_each=(resident - empty) / count,
                    disk_bytes=disk_bytes(server.folder),
                    open_files=open_files(server.pid),
                    restart_seconds=await _restart(server, count),
                )
            )
            if count < target:
                ended = f"the time was over: {most_seconds:g} s"
                break
            if resident > MOST_BYTES:
                ended = f"the memory was over: {MOST_BYTES / 2**30:g} GiB"
                break
    finally:
        server.stop()
    return Growth(kind="partitions", server=server.version, steps=steps, ended=ended)
