"""One customer drops very many messages while others publish one now and then: how long do these wait?

A Worker whose handler takes a fixed time is the bottleneck, so waiting is a matter of order alone.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from functools import partial

from bench import traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario
from broker_core import Delivery, FairDispatcher, Message, Worker

FLOOD = 100_000
OTHERS, EVERY_SECONDS = 20, 0.5
SECONDS, LEAST_SECONDS = 10, 3
CONCURRENCY, SERVICE_SECONDS = 10, 0.02


async def _run(bench: Bench, flood: int) -> Metrics:
    names, tally = traffic.names(1 + OTHERS), traffic.Tally()
    flooding = traffic.Traffic(names[:1], bench.scaled(flood, least=0))
    begun: dict[str, float] = {}
    watched: dict[str, float] = {}

    async def handler(delivery: Delivery) -> None:
        begun[delivery.id] = time.perf_counter()
        tally.received.append(delivery.id)
        await asyncio.sleep(SERVICE_SECONDS)

    async with traffic.dispatcher(bench) as d:
        await traffic.make_known(d, names)
        await traffic.publish(d, flooding.batches(), tally, tasks=2)
        worker = Worker(d, handler, concurrency=CONCURRENCY)
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run())
            await _publish(d, names[1:], bench.scaled(SECONDS, least=LEAST_SECONDS), watched)
            tally.published += watched
            while not begun.keys() >= watched.keys():  # noqa: ASYNC110 (nothing tells it)
                await asyncio.sleep(SERVICE_SECONDS)
            worker.stop()
        waiting = len(tally.published) - len(tally.received)
        await traffic.consume(d, waiting, tally, tasks=2)
    waits = [(begun[message] - published) * 1000 for message, published in watched.items()]
    cuts = statistics.quantiles(waits, n=100, method="inclusive")
    return tally.proof() | {
        "n": len(waits),
        "p50_ms": cuts[49],
        "p99_ms": cuts[98],
        "max_ms": max(waits),
        "flood_waiting": waiting,
    }


async def _publish(d: FairDispatcher, names: list[str], seconds: float, watched: dict[str, float]) -> None:
    """Publish one message of a customer after the other, evenly spread; note when each call began."""
    start = time.perf_counter()
    gap = EVERY_SECONDS / len(names)
    for number in range(round(seconds / gap)):
        await asyncio.sleep(max(0.0, start + number * gap - time.perf_counter()))
        called = time.perf_counter()
        (message,) = await d.publish([Message(names[number % len(names)], traffic.PAYLOAD)])
        watched[message] = called


SCENARIO = Scenario(
    name="flood",
    about=f"{OTHERS} customers publish one message every {EVERY_SECONDS * 1000:g} ms for {SECONDS} s; "
    f"another has {FLOOD:,} waiting; a Worker handles {CONCURRENCY / SERVICE_SECONDS:,.0f} a second",
    cases=(Case("without", partial(_run, flood=0)), Case("flood", partial(_run, flood=FLOOD))),
    figures=(
        Figure(label="without the flood: p50 wait", case="without", metric="p50_ms", unit="ms"),
        Figure(label="without the flood: p99 wait", case="without", metric="p99_ms", unit="ms"),
        Figure(label="beside the flood: p50 wait", case="flood", metric="p50_ms", unit="ms"),
        Figure(label="beside the flood: p99 wait", case="flood", metric="p99_ms", unit="ms"),
        Figure(label="beside the flood: longest wait", case="flood", metric="max_ms", unit="ms"),
        Figure(label="of the flood still waiting at the end", case="flood", metric="flood_waiting"),
    ),
    most_repetitions=3,
    brokers={"redis": 1.0, "rabbitmq": 0.2, "kafka": 0.2},
)
