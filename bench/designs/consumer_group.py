"""The alternative design as an adapter: one consumer group on each customer's stream, behind the ready ring.

Only publish, receive and ack exist; it runs under FairDispatcher and over the product's own connections, so
that what differs is the design. It does not wait on the server: an empty receive pauses for a millisecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn

from broker_core import (
    Backlog,
    CustomerBacklog,
    CustomerPolicy,
    DeadLetter,
    Delivery,
    FairDispatcher,
    Message,
    Page,
    envelope,
)
from broker_core.adapter import BrokerAdapter, Settlement, Verb
from broker_core.errors import DispatcherError, Unsupported
from fair_redis_streams.adapter import RedisStreamsAdapter
from fair_redis_streams.connection import Argument, Connections
from fair_redis_streams.settings import RedisStreamsSettings

SOURCE = Path(__file__).with_suffix(".lua")
PREFIX = b"{bench}"
PAUSE_SECONDS = 0.001


def dispatcher(url: str, quantum: int) -> FairDispatcher:
    """Return a dispatcher over this design; to be opened."""
    settings = RedisStreamsSettings.load(url=url, quantum=quantum, namespace="bench")
    return FairDispatcher(ConsumerGroupAdapter(settings), settings)


class ConsumerGroupAdapter(BrokerAdapter):
    """Publishes, receives and acks through one consumer group a customer."""

    settings_type = RedisStreamsSettings
    capabilities = RedisStreamsAdapter.capabilities

    def __init__(self, settings: RedisStreamsSettings, client: None = None) -> None:
        assert settings.url is not None
        self._settings = settings
        self._connections = Connections.to_url(settings.url.get_secret_value(), 30.0, 16)
        self._owner = b"consumer"
        self._lease_ms = int(settings.lease_seconds * 1000)

    async def open(self) -> None:
        await self._connections.call("FUNCTION", "LOAD", "REPLACE", SOURCE.read_text())

    async def close(self) -> None:
        await self._connections.close()

    async def _run(self, function: bytes, *arguments: Argument) -> Any:
        return await self._connections.call("FCALL", function, 1, PREFIX, *arguments)

    async def publish(self, messages: Sequence[Message]) -> list[str | DispatcherError]:
        arguments: list[Argument] = []
        for message in messages:
            arguments += (message.customer, message.cost, envelope.encode(message))
        return [found.decode() for found in await self._run(b"bench_publish", *arguments)]

    async def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:
        until = asyncio.get_running_loop().time() + wait_seconds
        while True:
            answer = await self._run(
                b"bench_receive", self._owner, self._lease_ms, max_messages, self._settings.quantum
            )
            if len(answer) > 1 or asyncio.get_running_loop().time() >= until:
                return _deliveries(answer)
            await asyncio.sleep(PAUSE_SECONDS)

    async def settle(self, receipts: Sequence[str], settlement: Settlement) -> list[str]:
        if settlement.verb is not Verb.ACK:
            _unsupported()
        arguments: list[Argument] = [self._owner]
        for customer, same in groupby(
            (receipt.partition(":") for receipt in receipts), lambda parts: parts[2]
        ):
            ids = [parts[0] for parts in same]
            arguments += (customer, len(ids), *ids)
        lost = await self._run(b"bench_ack", *arguments)
        return [f"{lost[i + 1].decode()}:{lost[i].decode()}" for i in range(0, len(lost), 2)]

    async def extend(self, receipts: Sequence[str], seconds: float) -> list[datetime | None]:
        _unsupported()

    async def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:
        _unsupported()

    async def inspect(self, customer: str | None) -> tuple[Backlog, CustomerPolicy | None]:
        _unsupported()

    async def customers(self, limit: int, cursor: str | None) -> Page[CustomerBacklog]:
        _unsupported()

    async def dead_letters(self, customer: str | None, limit: int, cursor: str | None) -> Page[DeadLetter]:
        _unsupported()

    async def end_dead_letters(self, customer: str, ids: Sequence[str] | None, *, redrive: bool) -> int:
        _unsupported()

    async def purge(self, customer: str) -> int:
        _unsupported()


def _unsupported() -> NoReturn:
    raise Unsupported("this design was built to be measured: it publishes, receives and acks")


def _deliveries(answer: Sequence[Any]) -> list[Delivery]:
    lease_until = datetime.fromtimestamp(answer[0] / 1000, UTC)
    deliveries = []
    for at in range(1, len(answer), 4):
        customer, entry_id, cost = answer[at].decode(), answer[at + 1].decode(), int(answer[at + 2])
        message = envelope.decode(answer[at + 3], customer, cost)
        published_at = datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1000, UTC)
        receipt = f"{entry_id}:{customer}"
        deliveries.append(Delivery(message, entry_id, 1, published_at, lease_until, receipt))
    return deliveries
