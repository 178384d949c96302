"""What stays in the server when everything is acked and the dedup window has passed."""

from __future__ import annotations

import asyncio
import time

import redis.asyncio

from bench import memory, traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario
from broker_core import Message

CUSTOMERS, EACH = 1_000, 200
DEDUP_WINDOW_SECONDS = 2.0
QUIET_SECONDS, DEADLINE_SECONDS = 3.0, 60.0


async def _run(bench: Bench) -> Metrics:
    customers = traffic.names(bench.scaled(CUSTOMERS))
    tally, total = traffic.Tally(), len(customers) * EACH
    batches = (
        [
            Message(customers[number % len(customers)], traffic.PAYLOAD, id=f"message-{number}")
            for number in range(at, at + traffic.BATCH)
        ]
        for at in range(0, total, traffic.BATCH)
    )
    async with redis.asyncio.Redis.from_url(bench.url) as server:
        start = await memory.used_bytes(server)
        async with traffic.dispatcher(bench, dedup_window=DEDUP_WINDOW_SECONDS) as d:
            await traffic.publish(d, batches, tally, tasks=2)
            full = await memory.used_bytes(server)
            await traffic.consume(d, total, tally, tasks=2)
            acked = await memory.used_bytes(server)
            await _until_quiet(server)
        end = await memory.used_bytes(server)
        left = await memory.keys(server)
    return tally.proof() | {
        "full_bytes": full - start,
        "acked_bytes": acked - start,
        "left_bytes": end - start,
        "left_keys": len(left),
        "keys": " ".join(left),
    }


async def _until_quiet(server: redis.asyncio.Redis) -> None:
    """Wait until the window is over and the number of keys has not changed for a while."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    size, since = await server.dbsize(), time.monotonic()
    while time.monotonic() < min(since + DEDUP_WINDOW_SECONDS + QUIET_SECONDS, deadline):
        await asyncio.sleep(0.1)
        now = await server.dbsize()
        if now != size:
            size, since = now, time.monotonic()


SCENARIO = Scenario(
    name="residue",
    about=f"{CUSTOMERS:,} customers × {EACH} messages with ids, dedup window {DEDUP_WINDOW_SECONDS:g} s",
    cases=(Case("residue", _run),),
    figures=(
        Figure(label="used_memory while all wait", case="residue", metric="full_bytes", unit="B"),
        Figure(label="… when all is acked", case="residue", metric="acked_bytes", unit="B"),
        Figure(
            label="… and the window passed", case="residue", metric="left_bytes", unit="B", at_most=1_000_000
        ),
        Figure(label="keys left", case="residue", metric="left_keys"),
    ),
    most_repetitions=3,
)
