"""Measures what messages write to the append-only file, and so to replicas: `python -m bench.redis_writes`.

Bytes for each message, by verb.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import redis.asyncio
import typer

from bench import machine, report, servers, traffic
from bench.redis_memory import publish
from broker_core import Delivery, FairDispatcher, open_dispatcher

CUSTOMERS = 1_000
CASES = (("in batches of 100", 100, False), ("with a Message.id", 100, True), ("one at a time", 1, False))
VERBS = ("publish", "receive", "ack", "in its life")


async def measure(url: str, batch: int, ids: bool) -> list[float]:
    """Return the bytes that publish, receive and ack write for a message, and their sum."""
    async with (
        redis.asyncio.Redis.from_url(url) as client,
        open_dispatcher("redis", url, namespace=traffic.NAMESPACE) as dispatcher,
    ):
        await publish(dispatcher, 1, 1, traffic.PAYLOAD)
        await dispatcher.ack(await dispatcher.receive(1))
        sizes = [await _size(client)]
        total = await publish(dispatcher, CUSTOMERS, 20 if batch > 1 else 2, traffic.PAYLOAD, ids=ids)
        sizes.append(await _size(client))
        held = await _receive_all(dispatcher, batch)
        sizes.append(await _size(client))
        for deliveries in held:
            await dispatcher.ack(deliveries)
        sizes.append(await _size(client))
    parts = [(after - before) / total for before, after in pairwise(sizes)]
    return [*parts, sum(parts)]


async def _receive_all(dispatcher: FairDispatcher, batch: int) -> list[Sequence[Delivery]]:
    held: list[Sequence[Delivery]] = []
    while deliveries := await dispatcher.receive(batch):
        held.append(deliveries)
    return held


async def _size(client: redis.asyncio.Redis) -> int:
    info: dict[str, int] = await client.info("persistence")
    return info["aof_current_size"]


def main(
    server: Annotated[str, typer.Option(help="redis7 or valkey9.")] = "redis7",
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
) -> None:
    """Measure, print, write JSON."""
    raw: dict[str, object] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
    }
    settings = servers.ServerSettings(kind=server, append_only="everysec", node_bytes=512)
    cases: dict[str, dict[str, float]] = {}
    for title, batch, ids in CASES:
        with servers.running(settings) as running:
            raw["server"] = running.version
            cases[title] = dict(zip(VERBS, asyncio.run(measure(running.url, batch, ids)), strict=True))
    text = json.dumps(raw | {"bytes a message": cases}, indent=1, ensure_ascii=False)
    print(text)
    if json_file is not None:
        report.write(json_file, text)


if __name__ == "__main__":
    typer.run(main)
