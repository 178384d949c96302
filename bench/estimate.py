"""The estimate that this product began with, measured: `python -m bench.estimate`.

It said: a hundred million messages a day as JSON text in Redis Streams take 33 GB. Here a million realistic
messages are stored both ways, and 128 GiB of memory are turned into hours that consumers may be away.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import redis.asyncio
import typer

from bench import machine, memory, servers
from broker_core import Message, open_dispatcher

SAMPLE = Path(__file__).parents[1] / "examples" / "traffic" / "sample.ndjson"
MESSAGES, DAY = 1_000_000, 100_000_000
BATCH = 500
PLANNED_BYTES = 128 * 2**30
# A fork for a snapshot or a rewrite copies each page that is written meanwhile; in the worst case all.
FORK_WORST, FORK_USUAL = 0.5, 0.75
REPLICA_BYTES = 2 * 2**30
MEAN, PEAK = 1_157, 5_000


def records(count: int) -> Iterator[dict[str, str]]:
    """Yield what a platform would store of each message."""
    lines = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
    start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    for number, line in enumerate(itertools.islice(itertools.cycle(lines), count)):
        yield {
            "id": f"{number:012x}",
            "customer": line["customer"],
            "to": f"+98912{number % 10_000_000:07d}",
            "text": line["payload"],
            "kind": line["headers"]["kind"],
            "lang": line["headers"]["lang"],
            "created_at": datetime.fromtimestamp(start + number / PEAK, UTC).isoformat(),
        }


async def as_json(client: redis.asyncio.Redis, url: str, count: int) -> None:
    """One stream for all, each message as JSON text in one field."""
    del url
    every = records(count)
    while some := list(itertools.islice(every, BATCH)):
        async with client.pipeline(transaction=False) as pipe:
            for record in some:
                pipe.xadd("messages", {"m": json.dumps(record, ensure_ascii=False, separators=(",", ":"))})
            await pipe.execute()


async def as_published(client: redis.asyncio.Redis, url: str, count: int) -> None:
    """The product: a stream a customer, the text as payload, the rest as headers."""
    del client
    every = records(count)
    async with open_dispatcher("redis", url, namespace="estimate") as dispatcher:
        while some := list(itertools.islice(every, BATCH)):
            await dispatcher.publish(
                Message(
                    record["customer"],
                    record["text"].encode(),
                    {name: record[name] for name in ("to", "kind", "lang")},
                )
                for record in some
            )


async def _measure(url: str, count: int, fill: object) -> float:
    async with redis.asyncio.Redis.from_url(url) as client:
        before = await memory.used_bytes(client)
        await fill(client, url, count)  # type: ignore[operator]
        return (await memory.used_bytes(client) - before) / count


def hours(bytes_each: float, share: float, rate: float) -> float:
    """Return for how long messages can arrive while nobody consumes."""
    return (PLANNED_BYTES * share - REPLICA_BYTES) / bytes_each / rate / 3600


def main(
    messages: Annotated[int, typer.Option(min=1000)] = MESSAGES,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
) -> None:
    """Measure, print a table, write JSON."""
    raw = sum(
        len(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode())
        for record in records(20_000)
    )
    result: dict[str, object] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "messages": messages,
        "json bytes": raw / 20_000,
    }
    print(f"JSON text of one message: {raw / 20_000:.0f} B; {messages:,} messages measured")
    print("| | B/message | 100 M messages | hours at the mean | at 5,000/s | … if a fork copies all |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, fill, node_bytes in (
        ("JSON text in one stream", as_json, 4096),
        ("this product, stream-node-max-bytes 4096", as_published, 4096),
        ("this product, stream-node-max-bytes 512", as_published, 512),
    ):
        settings = servers.ServerSettings(kind="redis7", node_bytes=node_bytes)
        with servers.running(settings) as server:
            each = asyncio.run(_measure(server.url, messages, fill))
        row = {
            "bytes each": each,
            "GiB a day": each * DAY / 2**30,
            "hours at the mean": hours(each, FORK_USUAL, MEAN),
            "hours at the peak": hours(each, FORK_USUAL, PEAK),
            "hours at the peak, worst fork": hours(each, FORK_WORST, PEAK),
        }
        result[name] = row
        print(
            f"| {name} | {each:.0f} | {row['GiB a day']:.1f} GiB | {row['hours at the mean']:.0f} "
            f"| {row['hours at the peak']:.1f} | {row['hours at the peak, worst fork']:.1f} |",
            flush=True,
        )
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
