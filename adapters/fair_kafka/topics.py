"""The topics of a namespace: their names, how they are made, and partitions that are added later.

| topic      | partitions | holds                                      | its records are deleted             |
|------------|------------|--------------------------------------------|-------------------------------------|
| .ledger    | 1          | all dispatchers' commands; their order     | when two snapshots were taken       |
|            |            | decides                                    |                                     |
| .snapshots | 1          | the state at a place in the ledger, in     | when two newer snapshots were taken |
|            |            | pieces                                     |                                     |
| .messages  | added in   | envelopes, a partition for each active     | behind the first message that is not|
|            | steps      | customer                                   | gone                                |
| .retry     | 1          | messages that lagged behind in .messages   | the same                            |
| .dead      | 1          | dead letters                               | the same                            |
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from aiokafka.protocol.admin import (
    CreatePartitionsRequest,
    CreateTopicsRequest,
    DescribeConfigsRequest,
)

from broker_core.errors import BrokerUnavailable, ConfigurationError
from fair_kafka.cluster import Cluster
from fair_kafka.errors import NotSent, Refused, check
from fair_kafka.partitions import Partitions, Place
from fair_kafka.settings import KafkaSettings

TOPIC_EXISTS, INVALID_PARTITIONS = 36, 37
PATIENCE_SECONDS, PAUSE_SECONDS = 30.0, 0.05
OVERHEAD_BYTES = 64 << 10
OTHER_SEGMENT_BYTES = 16 << 20
SEGMENT_MS = 3_600_000
INDEX_BYTES = 1 << 20
TOPIC_RESOURCE = 2
DEFAULT_REPLICAS = -1


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The names of a namespace's topics."""

    ledger: str
    snapshots: str
    messages: str
    retry: str
    dead: str

    @classmethod
    def of(cls, prefix: str, namespace: str) -> TopicNames:
        """Name the topics; different namespaces never share a name, nor one that Kafka takes for the same."""
        # Kafka doesn't tell a dot from an underscore in names of metrics and refuses such pairs.
        safe = namespace.replace(".", "..").replace("_", ".u")
        return cls(
            *(f"{prefix}.{safe}.{kind}" for kind in ("ledger", "snapshots", "messages", "retry", "dead"))
        )

    @property
    def all(self) -> list[str]:
        """All five."""
        return [self.ledger, self.snapshots, self.messages, self.retry, self.dead]


class Topics:
    """Makes what is missing and refuses what doesn't fit."""

    def __init__(
        self, cluster: Cluster, partitions: Partitions, names: TopicNames, settings: KafkaSettings
    ) -> None:
        self._cluster = cluster
        self._partitions = partitions
        self._names = names
        self._settings = settings
        largest = settings.max_payload_bytes + settings.max_headers_bytes + OVERHEAD_BYTES
        self._largest_message_bytes = largest
        # Of the messages' topic; the others take as large batches as their writers make.
        self._segment_bytes = max(settings.segment_bytes, largest)
        self._other_segment_bytes = max(OTHER_SEGMENT_BYTES, largest)
        self.largest_batch_bytes = self._segment_bytes
        self._adding = asyncio.Lock()

    async def prepare(self) -> None:
        """Make the topics that are missing, wait until all have leaders, check how they are set.

        Any number of dispatchers may do so at once. Raises ConfigurationError where an existing topic
        would lose messages or couldn't take the largest.
        """
        await self._cluster.refresh()
        missing = [name for name in self._names.all if not self._cluster.partitions_of(name)]
        if missing:
            await self._create(missing)
        await self._until_led(dict.fromkeys(self._names.all, 1))
        if missing:
            await self._until_ready(
                [(name, number) for name in missing for number in range(self._cluster.partitions_of(name))]
            )
        await self._check_configuration()

    async def _create(self, names: list[str]) -> None:
        replicas = self._settings.replication_factor or DEFAULT_REPLICAS
        topics: list[Any] = [
            (name, self._first_partitions(name), replicas, [], list(self._configuration(name).items()))
            for name in names
        ]
        timeout_ms = round(self._settings.timeout_seconds * 1000)
        answer = await self._cluster.call_controller(CreateTopicsRequest(topics, timeout_ms, False))
        for topic, code, *_ in answer.topic_errors:
            if code != TOPIC_EXISTS:
                check(code, f"creating topic {topic}")

    def _first_partitions(self, name: str) -> int:
        if name != self._names.messages:
            return 1
        settings = self._settings
        return settings.hashed_partitions or min(settings.partition_step, settings.max_partitions)

    def _configuration(self, name: str) -> dict[str, str]:
        segment_bytes = self._segment_bytes if name == self._names.messages else self._other_segment_bytes
        configuration = {
            "cleanup.policy": "delete",
            "retention.ms": "-1",
            "retention.bytes": "-1",
            "segment.bytes": str(segment_bytes),
            "segment.ms": str(SEGMENT_MS),
            "segment.index.bytes": str(INDEX_BYTES),
            "max.message.bytes": str(segment_bytes),
            "file.delete.delay.ms": "1000",
        }
        if name == self._names.ledger:
            configuration["message.timestamp.type"] = "LogAppendTime"
        return configuration

    async def _until_led(self, partitions: dict[str, int]) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + PATIENCE_SECONDS
        while True:
            await self._cluster.refresh()
            try:
                for name, count in partitions.items():
                    for partition in range(max(count, self._cluster.partitions_of(name))):
                        self._cluster.leader_of(name, partition)
            except NotSent:
                if clock() >= until:
                    raise
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return

    async def _check_configuration(self) -> None:
        keys = ["cleanup.policy", "retention.ms", "retention.bytes", "max.message.bytes", "segment.bytes"]
        wanted = [(TOPIC_RESOURCE, name, [*keys, "message.timestamp.type"]) for name in self._names.all]
        answer = await self._cluster.call_controller(DescribeConfigsRequest(wanted))
        for code, _, _, name, entries in answer.resources:
            check(code, f"reading the configuration of topic {name}")
            self._check_topic(name, {key: value for key, value, *_ in entries})

    def _check_topic(self, name: str, found: dict[str, str]) -> None:
        expected = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
        if name == self._names.ledger:
            expected["message.timestamp.type"] = "LogAppendTime"
        for key, value in expected.items():
            if found.get(key, value) != value:
                raise ConfigurationError(f"topic {name} has {key}={found[key]}, but must have {value}")
        least = self._largest_message_bytes if name == self._names.messages else self._other_segment_bytes
        sizes = {key: int(found.get(key, least)) for key in ("max.message.bytes", "segment.bytes")}
        if name == self._names.messages:
            self.largest_batch_bytes = min(sizes.values())
        for key, size_bytes in sizes.items():
            if size_bytes < least:
                raise ConfigurationError(
                    f"topic {name} has {key}={size_bytes}, but must have {least} for max_payload_bytes="
                    f"{self._settings.max_payload_bytes} and max_headers_bytes="
                    f"{self._settings.max_headers_bytes}: lower these or raise that"
                )

    async def ensure_partitions(self, count: int) -> None:
        """Have at least so many partitions for messages, each with a leader."""
        if self._cluster.partitions_of(self._names.messages) >= count:
            return
        async with self._adding:
            await self._cluster.refresh()
            have = self._cluster.partitions_of(self._names.messages)
            if have < count:
                await self._add_partitions(count)
            await self._until_led({self._names.messages: count})
            await self._until_ready([(self._names.messages, number) for number in range(have, count)])

    async def _until_ready(self, places: list[Place]) -> None:
        """Wait until the leaders of new partitions know that they are, which takes them a while for many."""
        clock = asyncio.get_running_loop().time
        until = clock() + PATIENCE_SECONDS
        while places:
            answers = await self._partitions.ends(places)
            failures = {
                place: answer for place, answer in answers.items() if isinstance(answer, BrokerUnavailable)
            }
            places = list(failures)
            if failures:
                if clock() >= until or not all(failure.retryable for failure in failures.values()):
                    raise failures[places[0]]
                await asyncio.sleep(PAUSE_SECONDS)

    async def _add_partitions(self, count: int) -> None:
        timeout_ms = round(self._settings.timeout_seconds * 1000)
        request = CreatePartitionsRequest([(self._names.messages, (count, None))], timeout_ms, False)
        answer = await self._cluster.call_controller(request)
        for topic, code, _ in answer.topic_errors:
            # Another dispatcher was quicker: so there are enough, or there will be at the next attempt.
            if code != INVALID_PARTITIONS:
                check(code, f"adding partitions to topic {topic}")

    async def partition_count(self) -> int:
        """Tell how many partitions for messages there are now."""
        await self._cluster.refresh()
        found = self._cluster.partitions_of(self._names.messages)
        if not found:
            raise Refused(f"topic {self._names.messages} is gone", is_stale=True)
        return found
