"""The brokers of a Kafka cluster: which of them leads a partition, and a connection for each purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum
from typing import Any

from aiokafka.protocol.metadata import MetadataRequest

from broker_core.errors import BrokerUnavailable
from fair_kafka.connection import (
    Address,
    Connection,
    Pace,
    Request,
    Response,
    addresses_of,
    connection_options,
)
from fair_kafka.errors import AnswerLost, NotSent, not_sent, refused
from fair_kafka.settings import KafkaSettings

UNKNOWN_TOPIC = 3


class Lane(Enum):
    """A purpose that has a connection of its own, so that its requests are not held up by others."""

    FOLLOW = "follow"
    APPEND = "append"
    STORE = "store"
    FETCH = "fetch"
    CONTROL = "control"


class Cluster:
    """Sends requests to the broker that is responsible.

    topics: whose partitions are looked up.
    """

    def __init__(self, settings: KafkaSettings, topics: Sequence[str]) -> None:
        self._bootstrap = addresses_of(settings.servers)
        self._options = connection_options(settings)
        self._timeout_seconds = settings.timeout_seconds
        self._topics = list(topics)
        self._connections: dict[tuple[Address, Lane], Connection] = {}
        self._paces: dict[Address, Pace] = {}
        self._brokers: dict[int, Address] = {}
        self._controller: int | None = None
        self._leaders: dict[str, dict[int, int]] = {}
        self._refreshing: asyncio.Lock = asyncio.Lock()
        self._refreshes = 0
        self._stale = True

    # Who is responsible.

    def partitions_of(self, topic: str) -> int:
        """Tell how many partitions the topic has, 0 if there is no such topic, as of the last look."""
        return len(self._leaders.get(topic, ()))

    def leader_of(self, topic: str, partition: int) -> int:
        """Tell which broker leads the partition; raises NotSent while none is known."""
        leader = self._leaders.get(topic, {}).get(partition, -1)
        if leader not in self._brokers:
            self._stale = True
            raise NotSent(f"no broker leads partition {partition} of {topic} now")
        return leader

    def look_again(self) -> None:
        """Have the responsibilities looked up before the next request."""
        self._stale = True

    async def refresh(self) -> None:
        """Look up brokers and leaders, once for all who ask meanwhile."""
        seen = self._refreshes
        async with self._refreshing:
            if self._refreshes == seen:
                await self._look_up()
                self._refreshes += 1
                self._stale = False

    async def _look_up(self) -> None:
        request = MetadataRequest(self._topics, False)
        failure: BrokerUnavailable | None = None
        for address in dict.fromkeys([*self._brokers.values(), *self._bootstrap]):
            try:
                answer = await self._connection(address, Lane.CONTROL).call(request)
            except NotSent as error:
                failure = error
                continue
            except AnswerLost as error:
                # Nobody's request was sent, since it isn't known where to.
                failure = not_sent(error.__cause__ or error)
                continue
            if answer.brokers:
                self._take_in(answer)
                return
        raise failure or NotSent("Kafka names no brokers yet")

    def _take_in(self, answer: Response) -> None:
        self._brokers = {node: (host, port) for node, host, port, *_ in answer.brokers}
        self._controller = answer.controller_id
        for code, topic, _, partitions in answer.topics:
            if code in (0, UNKNOWN_TOPIC):
                self._leaders[topic] = {number: leader for _, number, leader, *_ in partitions}
            elif not refused(code, "").retryable:
                raise refused(code, f"looking up topic {topic}")

    # Requests.

    async def call(self, lane: Lane, topic: str, partition: int, request: Request) -> Response:
        """Send a request to the leader of a partition."""
        if self._stale:
            await self.refresh()
        return await self.call_broker(lane, self.leader_of(topic, partition), request)

    async def call_broker(self, lane: Lane, broker: int, request: Request) -> Response:
        """Send a request to a broker."""
        try:
            return await self._connection(self._brokers[broker], lane).call(request)
        except (NotSent, AnswerLost):
            self._stale = True
            raise

    async def call_controller(self, request: Request) -> Response:
        """Send a request to the controller, or to a broker that passes it on."""
        if self._stale:
            await self.refresh()
        known = self._brokers.keys() & {self._controller} or self._brokers.keys()
        return await self.call_broker(Lane.CONTROL, next(iter(known)), request)

    async def ensure_fresh(self) -> None:
        """Look up the responsibilities if something hinted that they changed."""
        if self._stale:
            await self.refresh()

    def _connection(self, address: Address, lane: Lane) -> Connection:
        key = (address, lane)
        found = self._connections.get(key)
        if found is None:
            pace = self._paces.setdefault(address, Pace())
            found = Connection(address, self._options, self._timeout_seconds, pace)
            self._connections[key] = found
        return found

    async def close(self) -> None:
        """Disconnect from all. Idempotent."""
        closing: list[Any] = [connection.close() for connection in self._connections.values()]
        await asyncio.gather(*closing)
