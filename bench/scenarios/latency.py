"""From publish to the start of the handler on an idle system, and what a waiting consumer takes meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from collections import Counter

import redis.asyncio

from bench import cpu, traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario
from bench.processes.publisher import CUSTOMERS, SENT_NS
from broker_core import Delivery, Message, Worker

PUBLISHES, LEAST_PUBLISHES = 2_000, 200
GAP_SECONDS = 0.005
IDLE_SECONDS = 10.0
SETTLE_SECONDS = 1.0


async def _latency(bench: Bench) -> Metrics:
    """Publish from another process, one message at a time; both read the machine's monotonic clock."""
    waits: list[float] = []
    tally = traffic.Tally()
    done = asyncio.Event()
    count = bench.scaled(PUBLISHES, least=LEAST_PUBLISHES)

    async def handler(delivery: Delivery) -> None:
        waits.append((time.perf_counter_ns() - SENT_NS.unpack_from(delivery.message.payload)[0]) / 1e6)
        tally.received.append(delivery.id)
        if len(waits) == count:
            done.set()

    async with traffic.dispatcher(bench) as d:
        await traffic.make_known(d, traffic.names(CUSTOMERS))
        working = asyncio.create_task(Worker(d, handler).run())
        command = (sys.executable, "-m", "bench.processes.publisher", bench.url, str(count), str(GAP_SECONDS))
        publisher = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await publisher.communicate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await done.wait()
        working.cancel()
        await asyncio.wait([working])
    tally.published = output.decode().split()
    cuts = statistics.quantiles(waits, n=1000, method="inclusive")
    return tally.proof() | {
        "n": len(waits),
        "p50_ms": cuts[499],
        "p99_ms": cuts[989],
        "max_ms": max(waits),
    }


async def _idle(bench: Bench) -> Metrics:
    """Count what clients send while one consumer waits and nothing happens, without what scripts run."""
    seen: Counter[str] = Counter()
    async with redis.asyncio.Redis.from_url(bench.url) as server, traffic.dispatcher(bench) as d:
        await d.publish(Message("customer", traffic.PAYLOAD))
        await d.ack(await d.receive(1, wait=1.0))
        waiting = asyncio.create_task(d.receive(1, wait=IDLE_SECONDS + 3 * SETTLE_SECONDS))
        await asyncio.sleep(SETTLE_SECONDS)
        async with server.monitor() as monitor:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    while True:
                        command = await monitor.next_command()
                        if command["client_type"] != "lua":
                            seen[str(command["command"]).split(maxsplit=1)[0]] += 1
        waiting.cancel()
        await asyncio.wait([waiting])
    return {
        "commands_per_s": seen.total() / IDLE_SECONDS,
        "commands": ", ".join(f"{name} {count}" for name, count in seen.most_common()),
    }


async def _idle_cpu(bench: Bench) -> Metrics:
    """Measure the processor time of client and server while one consumer waits and nothing happens."""
    async with traffic.dispatcher(bench) as d:
        await traffic.make_known(d, traffic.names(CUSTOMERS))
        waiting = asyncio.create_task(d.receive(1, wait=IDLE_SECONDS + 3 * SETTLE_SECONDS))
        await asyncio.sleep(SETTLE_SECONDS)
        begin = time.process_time(), cpu.seconds_of(bench.server_pid)
        await asyncio.sleep(IDLE_SECONDS)
        end = time.process_time(), cpu.seconds_of(bench.server_pid)
        waiting.cancel()
        await asyncio.wait([waiting])
    return {
        "client_percent": (end[0] - begin[0]) / IDLE_SECONDS * 100,
        "server_percent": (end[1] - begin[1]) / IDLE_SECONDS * 100,
    }


ABOUT = (
    f"{PUBLISHES:,} publishes by another process, one every {GAP_SECONDS * 1000:g} ms; "
    f"then idle for {IDLE_SECONDS:g} s"
)

SCENARIOS = (
    Scenario(
        name="latency_idle",
        about=ABOUT,
        cases=(Case("latency", _latency), Case("idle", _idle)),
        figures=(
            Figure(
                label="publish → handler start, p50", case="latency", metric="p50_ms", unit="ms", at_most=2
            ),
            Figure(label="… p99", case="latency", metric="p99_ms", unit="ms", at_most=10),
            Figure(label="… longest", case="latency", metric="max_ms", unit="ms"),
            Figure(label="commands while idle", case="idle", metric="commands_per_s", unit="/s", at_most=1),
        ),
    ),
    Scenario(
        name="latency_brokers",
        about=f"{ABOUT}, {CUSTOMERS} customers",
        cases=(Case("latency", _latency), Case("idle", _idle_cpu)),
        figures=(
            Figure(label="publish → handler start, p50", case="latency", metric="p50_ms", unit="ms"),
            Figure(label="publish → handler start, p99", case="latency", metric="p99_ms", unit="ms"),
            Figure(label="publish → handler start, longest", case="latency", metric="max_ms", unit="ms"),
            Figure(
                label="one consumer waits: client", case="idle", metric="client_percent", unit="% of a core"
            ),
            Figure(
                label="one consumer waits: server", case="idle", metric="server_percent", unit="% of a core"
            ),
        ),
        most_repetitions=3,
        brokers={"redis": 1.0, "rabbitmq": 0.5, "kafka": 0.5},
    ),
)
