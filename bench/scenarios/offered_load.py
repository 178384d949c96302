"""Steady load: how long messages wait from their due moment to their handler, and what it costs.

A publisher process keeps to a schedule, as customers do; a Worker in another handles and acks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial

from bench import cpu, traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario
from bench.processes.publisher import SENT_NS
from broker_core import Delivery, Worker

SECONDS, LEAST_SECONDS = 10, 2
PEAK = 5_000
SETTLE_SECONDS = 10.0
# Messages a second and messages a publish.
Loads = Sequence[tuple[int, int]]
LOADS: Loads = ((500, 1), (500, 10), (1_000, 1), (1_000, 10), (PEAK, 10), (10_000, 10), (20_000, 10))
MODEST: Loads = ((50, 1), (200, 1), (200, 10), (500, 10), (1_000, 10), (2_000, 10))


async def _run(bench: Bench, rate: int, batch: int, customers: int) -> Metrics:
    waits: list[float] = []
    tally = traffic.Tally()
    seconds = bench.scaled(SECONDS, least=LEAST_SECONDS)

    async def handler(delivery: Delivery) -> None:
        waits.append((time.perf_counter_ns() - SENT_NS.unpack_from(delivery.message.payload)[0]) / 1e6)
        tally.received.append(delivery.id)

    async with traffic.dispatcher(bench) as d:
        await traffic.make_known(d, traffic.names(customers))
        working = asyncio.create_task(Worker(d, handler).run())
        command = (sys.executable, "-m", "bench.processes.paced_publisher", bench.url)
        publisher = await asyncio.create_subprocess_exec(
            *command, *(str(rate), str(batch), str(seconds), str(customers)), stdout=asyncio.subprocess.PIPE
        )
        before, server_before = time.process_time(), cpu.seconds_of(bench.server_pid)
        output, _ = await publisher.communicate()
        sent = json.loads(output)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while d.counts["ack"] < customers + sent["published"]:  # noqa: ASYNC110 (nothing tells it)
                    await asyncio.sleep(0.01)
        worker_seconds = time.process_time() - before
        server_seconds = cpu.seconds_of(bench.server_pid) - server_before
        working.cancel()
        await asyncio.wait([working])
    cuts = statistics.quantiles(waits, n=1000, method="inclusive")
    unique = len(set(tally.received))
    return {
        "lost": sent["published"] - unique,
        "duplicated": len(tally.received) - unique,
        "rate": sent["rate"],
        "p50_ms": cuts[499],
        "p99_ms": cuts[989],
        "max_ms": max(waits),
        "late_ms": sent["late_ms"],
        "python_percent": (worker_seconds + sent["cpu_seconds"]) / sent["seconds"] * 100,
        "server_percent": server_seconds / sent["seconds"] * 100,
        "python_ms_per_1000": (worker_seconds + sent["cpu_seconds"]) / sent["published"] * 1e6,
        "server_ms_per_1000": server_seconds / sent["published"] * 1e6,
    }


def _figures(rate: int, batch: int) -> list[Figure]:
    figure = partial(Figure, case=f"{rate}/{batch}")
    is_peak = rate == PEAK
    title = f"{rate:,}/s in publishes of {batch}"
    return [
        figure(label=f"{title}: reached", metric="rate", unit="msg/s"),
        figure(label=f"{title}: p50 wait", metric="p50_ms", unit="ms"),
        figure(label=f"{title}: p99 wait", metric="p99_ms", unit="ms", at_most=20 if is_peak else None),
        figure(
            label=f"{title}: Python, of a core",
            metric="python_percent",
            unit="%",
            at_most=50 if is_peak else None,
        ),
        figure(
            label=f"{title}: server, of a core",
            metric="server_percent",
            unit="%",
            at_most=20 if is_peak else None,
        ),
        figure(label=f"{title}: Python for 1,000 messages", metric="python_ms_per_1000", unit="ms"),
        figure(label=f"{title}: server for 1,000 messages", metric="server_ms_per_1000", unit="ms"),
    ]


def _scenario(name: str, loads: Loads, customers: int, brokers: Mapping[str, float]) -> Scenario:
    return Scenario(
        name=name,
        about=f"{customers:,} known customers, {SECONDS} s; a publisher process that keeps to a schedule, "
        "a Worker in another",
        cases=tuple(
            Case(f"{rate}/{batch}", partial(_run, rate=rate, batch=batch, customers=customers))
            for rate, batch in loads
        ),
        figures=tuple(figure for rate, batch in loads for figure in _figures(rate, batch)),
        most_repetitions=3,
        brokers=brokers,
    )


SCENARIOS = (
    _scenario("offered_load", LOADS, 1_000, {"redis": 1.0}),
    _scenario("offered_load_modest", MODEST, 100, {"redis": 1.0, "rabbitmq": 1.0, "kafka": 1.0}),
)
