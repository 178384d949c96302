"""Idle durable queues of RabbitMQ."""

from __future__ import annotations

import asyncio
import time

import aio_pika

from tests.servers.rabbitmq_local import LocalRabbitMQ, debian_rabbitmq

CHANNELS = 16
CONNECT_SECONDS = 5
ANSWER_SECONDS = 120


class Queues:
    """Queues of one type, one for each customer."""

    failures = (OSError, TimeoutError, aio_pika.exceptions.AMQPError)

    def __init__(self, queue_type: str) -> None:
        self._queue_type = queue_type
        self.kind = f"{queue_type} queues"
        self.server = LocalRabbitMQ(debian_rabbitmq())

    async def add(self, count: int, target: int, until: float) -> int:
        """Declare queues by several channels of one connection."""
        numbers = iter(range(count, target))
        made = 0

        async def one() -> None:
            nonlocal made
            channel = await connection.channel()
            for number in numbers:
                if time.monotonic() > until:
                    return
                await channel.declare_queue(
                    _name(number),
                    durable=True,
                    arguments={"x-queue-type": self._queue_type},
                    timeout=ANSWER_SECONDS,
                )
                made += 1
            await channel.close()

        async with await aio_pika.connect(self.server.url, timeout=CONNECT_SECONDS) as connection:
            tasks = [asyncio.create_task(one()) for _ in range(CHANNELS)]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
        return count + made

    async def find(self, count: int) -> None:
        """Ask for the first and the last queue; the server listens when it has recovered all."""
        async with await aio_pika.connect(self.server.url, timeout=CONNECT_SECONDS) as connection:
            channel = await connection.channel()
            for number in (0, count - 1):
                await channel.declare_queue(_name(number), passive=True, timeout=ANSWER_SECONDS)


def _name(number: int) -> str:
    return f"customer-{number:06d}"
