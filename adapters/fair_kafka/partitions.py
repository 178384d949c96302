"""Requests to partitions: store batches, read, look up the ends, delete what is old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from aiokafka.protocol.admin import DeleteRecordsRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.produce import ProduceRequest

from broker_core.errors import BrokerUnavailable
from fair_kafka.cluster import Cluster, Lane
from fair_kafka.connection import Request, Response
from fair_kafka.errors import NotSent, refused

ALL_REPLICAS = -1
OFFSET_OUT_OF_RANGE = 1
UNCOMMITTED = 0
LATEST, EARLIEST = -1, -2

Place = tuple[str, int]  # topic, partition
T = TypeVar("T")
Question = TypeVar("Question")


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a batch was stored. timestamp_ms: the broker's time, -1 unless the topic keeps that."""

    first_offset: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a partition gave from an offset on.

    data: batches, of which the first may begin before that offset and the last may be cut off.
    start, end: the offsets of the first record and behind the last one. out_of_range: nothing is at the
    offset any more, or yet.
    """

    data: bytes
    start: int
    end: int
    out_of_range: bool


class Partitions:
    """The partitions of a namespace's topics. Every method asks each broker once, all at the same time.

    A partition whose broker failed gets the error as its answer, instead of raising for all.
    """

    def __init__(self, cluster: Cluster, timeout_seconds: float) -> None:
        self._cluster = cluster
        self._timeout_ms = round(timeout_seconds * 1000)

    async def store(
        self, lane: Lane, batches: Mapping[Place, bytes]
    ) -> dict[Place, Stored | BrokerUnavailable]:
        """Store a batch in each partition; the answer comes when all in-sync replicas have it."""

        def request(topics: list[tuple[str, list[tuple[int, bytes]]]]) -> Request:
            return ProduceRequest(None, ALL_REPLICAS, self._timeout_ms, topics)

        def read(answer: Response) -> dict[Place, Stored | BrokerUnavailable]:
            return {
                (topic, number): Stored(offset, timestamp)
                if not code
                else refused(code, f"writing to {topic}")
                for topic, partitions in answer.topics
                for number, code, offset, timestamp, *_ in partitions
            }

        return await self._ask(lane, batches, request, read)

    async def fetch(
        self,
        lane: Lane,
        offsets: Mapping[Place, tuple[int, int]],
        *,
        wait_seconds: float = 0.0,
        most_bytes: int,
    ) -> dict[Place, Fetched | BrokerUnavailable]:
        """Read from (offset, most bytes) of each partition, at least a batch of the first one.

        wait_seconds: how long the broker may wait for the first record. most_bytes: of all together.
        """

        def request(topics: list[tuple[str, list[tuple[int, tuple[int, int]]]]]) -> Request:
            wanted = [(topic, [(number, *at) for number, at in partitions]) for topic, partitions in topics]
            return FetchRequest(round(wait_seconds * 1000), 1, most_bytes, UNCOMMITTED, wanted)

        def read(answer: Response) -> dict[Place, Fetched | BrokerUnavailable]:
            return {
                (topic, number): Fetched(data or b"", start, end, code == OFFSET_OUT_OF_RANGE)
                if code in (0, OFFSET_OUT_OF_RANGE)
                else refused(code, f"reading from {topic}")
                for topic, partitions in answer.topics
                for number, code, end, _, start, *_, data in partitions
            }

        return await self._ask(lane, offsets, request, read)

    async def ends(
        self, places: Sequence[Place], which: int = LATEST
    ) -> dict[Place, int | BrokerUnavailable]:
        """Look up the offset behind the last record (LATEST) or of the first (EARLIEST)."""

        def request(topics: list[tuple[str, list[tuple[int, int]]]]) -> Request:
            return OffsetRequest(-1, UNCOMMITTED, topics)

        def read(answer: Response) -> dict[Place, int | BrokerUnavailable]:
            return {
                (topic, number): offset if not code else refused(code, f"looking up offsets of {topic}")
                for topic, partitions in answer.topics
                for number, code, _, offset in partitions
            }

        return await self._ask(Lane.CONTROL, dict.fromkeys(places, which), request, read)

    async def delete_before(self, offsets: Mapping[Place, int]) -> dict[Place, int | BrokerUnavailable]:
        """Delete the records before an offset of each partition; return where they begin now."""

        def request(topics: list[tuple[str, list[tuple[int, int]]]]) -> Request:
            return DeleteRecordsRequest(topics, self._timeout_ms)

        def read(answer: Response) -> dict[Place, int | BrokerUnavailable]:
            return {
                (topic, number): start if not code else refused(code, f"deleting records of {topic}")
                for topic, partitions, *_ in answer.topics
                for number, start, code, *_ in partitions
            }

        return await self._ask(Lane.CONTROL, offsets, request, read)

    async def _ask(
        self,
        lane: Lane,
        questions: Mapping[Place, Question],
        request: Callable[[list[tuple[str, list[tuple[int, Question]]]]], Request],
        read: Callable[[Response], dict[Place, T | BrokerUnavailable]],
    ) -> dict[Place, T | BrokerUnavailable]:
        try:
            await self._cluster.ensure_fresh()
        except BrokerUnavailable as error:
            return dict.fromkeys(questions, error)
        answers: dict[Place, T | BrokerUnavailable] = {}
        by_broker: dict[int, dict[str, list[tuple[int, Question]]]] = {}
        for (topic, partition), question in questions.items():
            try:
                leader = self._cluster.leader_of(topic, partition)
            except NotSent as error:
                answers[topic, partition] = error
            else:
                by_broker.setdefault(leader, {}).setdefault(topic, []).append((partition, question))
        asking: list[Awaitable[dict[Place, T | BrokerUnavailable]]] = [
            self._ask_broker(lane, broker, topics, request, read) for broker, topics in by_broker.items()
        ]
        # One broker is the usual case, which needs no further task.
        for found in [await asking[0]] if len(asking) == 1 else await asyncio.gather(*asking):
            answers.update(found)
        return answers

    async def _ask_broker(
        self,
        lane: Lane,
        broker: int,
        topics: dict[str, list[tuple[int, Question]]],
        request: Callable[[list[tuple[str, list[tuple[int, Question]]]]], Request],
        read: Callable[[Response], dict[Place, T | BrokerUnavailable]],
    ) -> dict[Place, T | BrokerUnavailable]:
        try:
            answers = read(await self._cluster.call_broker(lane, broker, request(list(topics.items()))))
        except BrokerUnavailable as error:
            return {(topic, number): error for topic, asked in topics.items() for number, _ in asked}
        if any(isinstance(answer, BrokerUnavailable) for answer in answers.values()):
            self._cluster.look_again()
        return answers


def only(answers: dict[Place, T | BrokerUnavailable]) -> T:
    """Return the one answer, or raise it if it is an error."""
    (answer,) = answers.values()
    if isinstance(answer, BrokerUnavailable):
        raise answer
    return answer
