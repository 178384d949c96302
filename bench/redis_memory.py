"""Measures what messages take of a Redis server's memory, by their state: `python -m bench.redis_memory`.

Each figure is the growth of used_memory on a server of its own, from an empty
namespace.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import redis.asyncio
import typer

from bench import machine, memory, report, servers, traffic
from broker_core import CustomerPolicy, FairDispatcher, Message, open_dispatcher

NODE_BYTES = (4096, 1024, 512, 256)
DEPTHS = ((100_000, 1), (100_000, 2), (20_000, 10), (1_000, 200), (1, 200_000))
PAYLOADS = (0, 50, 100, 150, 300, 1000)
SHAPES = ((1_000, 200, 4096), (1_000, 200, 512), (100_000, 1, 4096), (100_000, 1, 512))
CUSTOMERS, EACH = 1_000, 50
STATE_SERVERS = ("redis7", "valkey9")
LEASE_SECONDS = 3600.0

Fill = Callable[[FairDispatcher], Awaitable[int]]


def measure(kind: str, node_bytes: int, fill: Fill) -> float:
    """Return the bytes that each of the things takes whose number `fill` returns."""
    settings = servers.ServerSettings(kind=kind, append_only="no", node_bytes=node_bytes)
    with servers.running(settings) as server:
        return asyncio.run(_growth(server.url, fill))


async def _growth(url: str, fill: Fill) -> float:
    async with (
        redis.asyncio.Redis.from_url(url) as client,
        open_dispatcher(
            "redis", url, namespace=traffic.NAMESPACE, lease_seconds=LEASE_SECONDS, dedup_window=3600.0
        ) as dispatcher,
    ):
        # What the first of everything takes: functions, tables, buffers of connections.
        await publish(dispatcher, 1, 1, traffic.PAYLOAD)
        await dispatcher.ack(await dispatcher.receive(10))
        before = await memory.used_bytes(client)
        count = await fill(dispatcher)
        growth = await memory.used_bytes(client) - before
        await dispatcher.close(release=False)
        return growth / count


def waiting(customers: int, each: int, payload_bytes: int) -> Fill:
    """Return what publishes the same number for each customer."""

    async def fill(dispatcher: FairDispatcher) -> int:
        return await publish(dispatcher, customers, each, bytes(payload_bytes))

    return fill


async def publish(
    dispatcher: FairDispatcher, customers: int, each: int, payload: bytes, *, ids: bool = False
) -> int:
    """Publish the same number for each customer, in turn; return how many in all."""
    names = traffic.names(customers)
    total = customers * each
    for start in range(0, total, 500):
        await dispatcher.publish(
            Message(names[number % customers], payload, id=f"order-{number:012d}" if ids else None)
            for number in range(start, min(start + 500, total))
        )
    return total


async def _all(dispatcher: FairDispatcher, verb: Callable[[Sequence[str]], Awaitable[object]]) -> int:
    await publish(dispatcher, CUSTOMERS, EACH, traffic.PAYLOAD)
    count = 0
    while deliveries := await dispatcher.receive(500):
        await verb([delivery.receipt for delivery in deliveries])
        count += len(deliveries)
    return count


async def ready(dispatcher: FairDispatcher) -> int:
    """Published."""
    return await publish(dispatcher, CUSTOMERS, EACH, traffic.PAYLOAD)


async def leased(dispatcher: FairDispatcher) -> int:
    """Received, hundreds at a time."""

    async def keep(_: Sequence[str]) -> None:
        return

    return await _all(dispatcher, keep)


async def leased_one_by_one(dispatcher: FairDispatcher) -> int:
    """Received one at a time, so that each has a token of its own."""
    await publish(dispatcher, 100, 50, traffic.PAYLOAD)
    count = 0
    while await dispatcher.receive(1):
        count += 1
    return count


async def renewed(dispatcher: FairDispatcher) -> int:
    """Received and renewed once."""
    return await _all(dispatcher, dispatcher.extend)


async def returned(dispatcher: FairDispatcher) -> int:
    """Received and released: ready again."""
    await publish(dispatcher, CUSTOMERS, EACH, traffic.PAYLOAD)
    deliveries: list[str] = []
    while got := await dispatcher.receive(500):
        deliveries += [one.receipt for one in got]
    await dispatcher.release(deliveries)
    return len(deliveries)


async def delayed(dispatcher: FairDispatcher) -> int:
    """Received and given back with a delay."""
    return await _all(dispatcher, lambda receipts: dispatcher.nack(receipts, delay=86400, reason="busy"))


async def dead(dispatcher: FairDispatcher) -> int:
    """Dead letters, with a reason of 20 characters."""
    return await _all(dispatcher, lambda receipts: dispatcher.dead_letter(receipts, "x" * 20))


async def known(dispatcher: FairDispatcher) -> int:
    """Acked, with an id of 18 characters that is still recognised."""
    total = await publish(dispatcher, CUSTOMERS, EACH, traffic.PAYLOAD, ids=True)
    while deliveries := await dispatcher.receive(500):
        await dispatcher.ack(deliveries)
    return total


async def acked(dispatcher: FairDispatcher) -> int:
    """Acked, without an id."""
    return await _all(dispatcher, dispatcher.ack)


async def policies(dispatcher: FairDispatcher) -> int:
    """A weight and a pause for a customer without messages."""
    names = traffic.names(10_000)
    for name in names:
        await dispatcher.set_policy(name, CustomerPolicy(weight=3, paused=True))
    return len(names)


STATES: tuple[Fill, ...] = (
    ready,
    leased,
    leased_one_by_one,
    renewed,
    returned,
    delayed,
    dead,
    known,
    acked,
    policies,
)


def by_depth() -> dict[str, dict[str, float]]:
    """Return bytes a waiting message by customers × messages and by the size of a stream's node."""
    return {
        f"{customers:,} × {each:,}": {
            f"node {node}": measure("redis7", node, waiting(customers, each, len(traffic.PAYLOAD)))
            for node in NODE_BYTES
        }
        for customers, each in DEPTHS
    }


def by_payload() -> dict[str, dict[str, float]]:
    """Return bytes a waiting message by the size of its payload."""
    return {
        f"{size:,} B": {
            f"{customers:,} × {each:,}, node {node}": measure("redis7", node, waiting(customers, each, size))
            for customers, each, node in SHAPES
        }
        for size in PAYLOADS
    }


def by_state() -> dict[str, dict[str, float]]:
    """Return bytes a message by its state."""
    return {
        str(state.__doc__).rstrip("."): {kind: measure(kind, 512, state) for kind in STATE_SERVERS}
        for state in STATES
    }


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
) -> None:
    """Measure, print, write JSON."""
    raw: dict[str, object] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "bytes by depth": by_depth(),
        "bytes by payload": by_payload(),
        "bytes by state": by_state(),
    }
    text = json.dumps(raw, indent=1, ensure_ascii=False)
    print(text)
    if json_file is not None:
        report.write(json_file, text)


if __name__ == "__main__":
    typer.run(main)
