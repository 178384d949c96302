"""Idle durable queues of RabbitMQ."""

from __future__ import annotations

import asyncio
import time

import aio_pika

from bench.scale.model import (
    MOST_BYTES,
    STEPS,
    Growth,
    Step,
    disk_bytes,
    open_files,
    resident_bytes,
)
from tests.servers.rabbitmq_local import LocalRabbitMQ, debian_rabbitmq

CHANNELS = 16
RESTART_SECONDS = 300.0


async def declare(
    connection: aio_pika.abc.AbstractConnection, kind: str, numbers: range, until: float
) -> int:
    """Declare queues of that type by several channels; return how many were made in time."""
    waiting = iter(numbers)
    made = 0

    async def one() -> None:
        nonlocal made
        channel = await connection.channel()
        for number in waiting:
            if time.monotonic() > until:
                return
            await channel.declare_queue(
                f"customer-{number:06d}", durable=True, arguments={"x-queue-type": kind}, timeout=120
            )
            made += 1
        await channel.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CHANNELS):
            group.create_task(one())
    return made


async def _restart(server: LocalRabbitMQ) -> float:
    start = time.monotonic()
    server.kill()
    server.launch()
    while time.monotonic() - start < RESTART_SECONDS:
        try:
            async with await aio_pika.connect(server.url, timeout=5) as connection:
                channel = await connection.channel()
                await channel.declare_queue("customer-000000", passive=True, timeout=60)
                return time.monotonic() - start
        except (OSError, TimeoutError, aio_pika.exceptions.AMQPError):
            await asyncio.sleep(0.1)
    return float("inf")


async def grow(kind: str, most: int, most_seconds: float) -> Growth:
    """Declare queues of that type, as many as time and memory allow."""
    server = LocalRabbitMQ(debian_rabbitmq())
    steps: list[Step] = []
    ended = f"{most:,} were wanted"
    try:
        server.start()
        empty, count, until = resident_bytes(server.pid), 0, time.monotonic() + most_seconds
        for target in (step for step in STEPS if step <= most):
            start = time.monotonic()
            async with await aio_pika.connect(server.url) as connection:
                made = await declare(connection, kind, range(count, target), until)
            seconds = time.monotonic() - start
            count += made
            resident = resident_bytes(server.pid)
            steps.append(
                Step(
                    count=count,
                    made_per_second=made / seconds,
                    resident_bytes=resident,
                    bytes_each=(resident - empty) / count,
                    disk_bytes=disk_bytes(server.folder),
                    open_files=open_files(server.pid),
                    restart_seconds=await _restart(server),
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
    return Growth(kind=f"{kind} queues", server=server.version, steps=steps, ended=ended)
