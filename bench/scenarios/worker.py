"""A Worker whose async handler does nothing, one process."""

from __future__ import annotations

import asyncio
import time

from bench import traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario
from broker_core import Delivery, Worker

CUSTOMERS, EACH = 1_000, 100
POLL_SECONDS = 0.002


async def _run(bench: Bench) -> Metrics:
    load, tally = traffic.Traffic(traffic.names(bench.scaled(CUSTOMERS)), EACH), traffic.Tally()

    async def handler(delivery: Delivery) -> None:
        tally.received.append(delivery.id)

    async with traffic.dispatcher(bench) as d:
        await traffic.publish(d, load.batches(), tally, tasks=2)
        start = time.perf_counter()
        running = asyncio.create_task(Worker(d, handler).run())
        while d.counts["ack"] < load.total and not running.done():  # noqa: ASYNC110 (nothing tells it)
            await asyncio.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - start
        running.cancel()
        await asyncio.wait([running])
        left = await d.backlog()
    return tally.proof() | {"handled": load.total / seconds, "left": left.ready + left.leased + left.delayed}


SCENARIO = Scenario(
    name="worker_noop",
    about=f"Worker with its default settings, {CUSTOMERS:,} customers × {EACH}, until all is acked",
    cases=(Case("worker", _run),),
    figures=(
        Figure(label="handled and acked", case="worker", metric="handled", unit="msg/s", at_least=20_000),
    ),
    append_only=("no", "everysec"),
)
