"""Measures what the quantum costs and what it buys, on Redis: `python -m bench.quantum`.

For each quantum: hand-overs a second while 1,000 customers have something waiting, the time of the
server that one takes, and how many hand-overs a customer waits for that becomes ready then.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import redis.asyncio
import typer

from bench import machine, report, servers, traffic
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
    repeat: Annotated[int, typer.Option(min=1, help="Rounds over all quanta.")] = 5,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
) -> None:
    """Measure all in turn, print, write JSON."""
    raw: dict[str, object] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "batch": batch,
    }
    found: dict[int, tuple[list[float], ...]] = {one: ([], [], []) for one in QUANTA}
    settings = servers.ServerSettings(kind=server, append_only="no", node_bytes=512)
    for _ in range(repeat):
        for quantum, lists in found.items():
            with servers.running(settings) as running:
                raw["server"] = running.version
                for values, value in zip(
                    lists, asyncio.run(measure(running.url, quantum, batch)), strict=True
                ):
                    values.append(value)
    raw["by quantum"] = {
        str(quantum): {"hand-overs a second": rates, "server µs each": usecs, "a newcomer waits for": waits}
        for quantum, (rates, usecs, waits) in found.items()
    }
    text = json.dumps(raw, indent=1, ensure_ascii=False)
    print(text)
    if json_file is not None:
        report.write(json_file, text)


if __name__ == "__main__":
    typer.run(main)
