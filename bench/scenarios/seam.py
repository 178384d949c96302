"""What the portable part costs: the adapter used directly, against FairDispatcher over it."""

from __future__ import annotations

from collections.abc import Sequence

from bench import traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario
from broker_core import Delivery, Message
from broker_core.adapter import BrokerAdapter, Settlement, Verb
from fair_redis_streams.adapter import RedisStreamsAdapter
from fair_redis_streams.settings import RedisStreamsSettings

CUSTOMERS, EACH = 1_000, 200


class Direct:
    """The three verbs straight through the seam, unchecked and without keeping track of leases."""

    def __init__(self, adapter: BrokerAdapter) -> None:
        self._adapter = adapter

    async def publish(self, messages: Sequence[Message]) -> Sequence[str]:
        return [str(outcome) for outcome in await self._adapter.publish(messages)]

    async def receive(self, max_messages: int, wait: float) -> Sequence[Delivery]:
        return await self._adapter.receive(max_messages, wait)

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        await self._adapter.settle([delivery.receipt for delivery in deliveries], Settlement(Verb.ACK))


def _load(bench: Bench) -> traffic.Traffic:
    return traffic.Traffic(traffic.names(bench.scaled(CUSTOMERS)), EACH)


async def _direct(bench: Bench) -> Metrics:
    settings = RedisStreamsSettings.load(url=bench.url, quantum=traffic.QUANTUM, namespace=traffic.NAMESPACE)
    adapter = RedisStreamsAdapter(settings)
    await adapter.open()
    try:
        return await traffic.drain_after(Direct(adapter), _load(bench), publishers=2, consumers=2)
    finally:
        await adapter.close()


async def _portable(bench: Bench) -> Metrics:
    async with traffic.dispatcher(bench) as d:
        return await traffic.drain_after(d, _load(bench), publishers=2, consumers=2)


SCENARIO = Scenario(
    name="seam",
    about=f"adapter alone against FairDispatcher over it, {CUSTOMERS:,} customers × {EACH}",
    cases=(Case("direct", _direct), Case("portable", _portable)),
    figures=(
        Figure(label="adapter alone", case="direct", metric="end_to_end", unit="msg/s"),
        Figure(label="FairDispatcher", case="portable", metric="end_to_end", unit="msg/s"),
        Figure(label="ratio", case="portable", metric="end_to_end", over=("direct", "end_to_end")),
    ),
)
