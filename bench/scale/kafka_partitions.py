"""Empty partitions of Kafka, one topic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import KafkaError

from tests.servers.kafka_jars import kafka_jars
from tests.servers.kafka_local import LocalKafka

TOPIC = "customers"
CHUNK = 500
HEAP = "4g"
ANSWER_SECONDS = 120.0


class Partitions:
    """Partitions, one for each customer."""

    kind = "partitions"
    failures = (OSError, TimeoutError, KafkaError, ValueError)  # the client's ValueError: not known yet

    def __init__(self) -> None:
        self.server = LocalKafka(kafka_jars(), heap=HEAP)

    async def add(self, count: int, target: int, until: float) -> int:
        """Add partitions some hundreds at a time, and wait until all have a leader."""
        async with self._admin() as admin:
            while count < target and time.monotonic() < until:
                new = min(count + CHUNK, target)
                if count == 0:
                    await admin.create_topics([NewTopic(TOPIC, new, 1)])
                else:
                    await admin.create_partitions({TOPIC: NewPartitions(new)})
                count = new
                await _until_led(admin, count)
        return count

    async def find(self, count: int) -> None:
        """Wait until every partition has a leader."""
        async with self._admin() as admin:
            await _until_led(admin, count)

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self.server.url, request_timeout_ms=int(ANSWER_SECONDS * 1000)
        )
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()


async def _until_led(admin: AIOKafkaAdminClient, count: int) -> None:
    until = time.monotonic() + ANSWER_SECONDS
    while True:
        (topic,) = await admin.describe_topics([TOPIC])
        if sum(partition["leader"] >= 0 for partition in topic["partitions"]) >= count:
            return
        if time.monotonic() > until:
            raise TimeoutError(f"partitions had no leader for {ANSWER_SECONDS:g} s")
        await asyncio.sleep(0.05)
