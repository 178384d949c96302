"""Measures what the quantum costs and what it buys, on Redis: `python -m bench.quantum`.

Prints a table in Markdown: hand-overs a second while 1,000 customers have something waiting, the time of the
server that one takes, and how many hand-overs a customer waits for that becomes ready then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated

import redis.asyncio
import typer

from bench import servers, traffic
from broker_core import Delivery, FairDispatcher, Message, open_dispatcher

QUANTA = (1, 2, 5, 10, 50)
CUSTOMERS, EACH = 1_000, 100
NEWCOMER_AFTER = 20_000


async def measure(url: str, quantum: int, batch: int) -> tuple[float, float, int]:
    """Return hand-overs a second, µs of the server for each, and the newcomer's wait in hand-overs."""
    async with (
        redis.asyncio.Redis.from_url(url) as client,
        open_dispatcher("redis", url, namespace=traffic.NAMESPACE, quantum=quantum) as dispatcher,
    ):
        tally = traffic.Tally()
        load = traffic.Traffic(traffic.names(CUSTOMERS), EACH)
        await traffic.publish(dispatcher, load.batches(), tally, tasks=1)
        await client.config_resetstat()
        begin = time.perf_counter()
        wait = await _drain(dispatcher, load.total, batch)
        seconds = time.perf_counter() - begin
        calls = (await client.info("commandstats"))["cmdstat_fcall"]
        return load.total / seconds, calls["usec"] / load.total, wait


async def _drain(dispatcher: FairDispatcher, total: int, batch: int) -> int:
    """Receive and ack all; return the place at which a customer comes that is published to on the way."""
    order: list[str] = []
    published_at = 0
    while len(order) <= total:
        deliveries: Sequence[Delivery] = await dispatcher.receive(batch)
        await dispatcher.ack(deliveries)
        order += [delivery.customer for delivery in deliveries]
        if not published_at and len(order) >= NEWCOMER_AFTER:
            published_at = len(order)
            await dispatcher.publish(Message("newcomer", traffic.PAYLOAD))
    return order.index("newcomer") - published_at


def main(
    server: Annotated[str, typer.Option(help="redis7 or valkey9.")] = "redis7",
    batch: Annotated[int, typer.Option(help="max_messages of a receive.")] = 100,
) -> None:
    """Measure and print."""
    print("| quantum | hand-overs/s | µs of the server each | newcomer waits for |\n|---:|---:|---:|---:|")
    settings = servers.ServerSettings(kind=server, append_only="no", node_bytes=512)
    for quantum in QUANTA:
        with servers.running(settings) as running:
            rate, usec, wait = asyncio.run(measure(running.url, quantum, batch))
        print(f"| {quantum} | {rate:,.0f} | {usec:.1f} | {wait:,} hand-overs |", flush=True)


if __name__ == "__main__":
    typer.run(main)
