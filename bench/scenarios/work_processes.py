"""`fairdispatch work` with two processes against one, with a handler that does nothing and one that computes.

Server and worker processes share the machine's cores: what each needs of them for a message says how far
further processes can help.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from redis.asyncio import Redis

from bench import traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario
from broker_core import FairDispatcher

CUSTOMERS, EACH = 1_000, 150
POLL_SECONDS = 0.02
# Rates are taken between these parts of the whole, so that neither start nor end of the processes counts.
FIRST_PART, LAST_PART = 0.1, 0.9


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of the work. server_seconds: processor time of the server so far."""

    at: float
    done: int
    server_seconds: float


async def _run(bench: Bench, handler: str, processes: int) -> Metrics:
    load, tally = traffic.Traffic(traffic.names(bench.scaled(CUSTOMERS)), EACH), traffic.Tally()
    with tempfile.TemporaryDirectory(prefix="bench-") as counts:
        async with traffic.dispatcher(bench) as d:
            await traffic.publish(d, load.batches(), tally, tasks=2)
            async with _working(bench, handler, processes, counts), Redis.from_url(bench.url) as client:
                begin, end, _ = [
                    await _reached(d, client, load.total, part) for part in (FIRST_PART, LAST_PART, 1.0)
                ]
            left = await d.backlog()
        handled, worker_seconds = _counted(counts)
    worker = worker_seconds / handled
    server = (end.server_seconds - begin.server_seconds) / (end.done - begin.done)
    rate = (end.done - begin.done) / (end.at - begin.at)
    return {
        "handled": rate,
        "worker_microseconds": worker * 1e6,
        "server_microseconds": server * 1e6,
        "cores": rate * (worker + server),
        "lost": max(0, load.total - handled),
        "duplicated": max(0, handled - load.total),
        "left": left.ready + left.leased + left.delayed + left.dead,
    }


@contextlib.asynccontextmanager
async def _working(bench: Bench, handler: str, processes: int, counts: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fair_dispatcher", "work", "--log-level", "warning"),
        *("--handler", f"bench.processes.handlers:{handler}", "--processes", str(processes)),
        *("--broker", "redis", "--namespace", traffic.NAMESPACE),
        env=os.environ | {"REDIS_URL": bench.url, "BENCH_COUNTS": counts},
    )
    try:
        yield
        process.terminate()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()


async def _reached(d: FairDispatcher, client: Redis, total: int, part: float) -> Mark:
    """Wait until that part of the messages is acked."""
    while True:
        backlog = await d.backlog()
        done = total - backlog.ready - backlog.leased - backlog.delayed
        if done >= part * total:
            used = await client.info("cpu")
            return Mark(time.perf_counter(), done, used["used_cpu_user"] + used["used_cpu_sys"])
        await asyncio.sleep(POLL_SECONDS)


def _counted(counts: str) -> tuple[int, float]:
    """Sum up what the processes wrote: messages, and seconds of processor time."""
    lines = [file.read_text().split() for file in Path(counts).iterdir()]
    return sum(int(handled) for handled, _ in lines), sum(float(seconds) for _, seconds in lines)


def _figures(handler: str, label: str, at_least: float | None) -> Iterator[Figure]:
    one, two = f"{handler}_1", f"{handler}_2"
    yield Figure(label=f"{label}, 1 process", case=one, metric="handled", unit="msg/s")
    yield Figure(label="… 2 processes", case=two, metric="handled", unit="msg/s")
    yield Figure(label="… ratio", case=two, metric="handled", over=(one, "handled"), at_least=at_least)
    yield Figure(label="… cores that workers and server fill", case=two, metric="cores")
    yield Figure(label="… worker's processor time", case=two, metric="worker_microseconds", unit="µs/msg")
    yield Figure(label="… server's processor time", case=two, metric="server_microseconds", unit="µs/msg")


# What they do, and the ratio that they have to show.
HANDLERS = {"light": ("handler does nothing", None), "heavy": ("handler computes for 50 µs", 1.5)}

SCENARIO = Scenario(
    name="work_processes",
    about=f"fairdispatch work, {CUSTOMERS:,} customers × {EACH}, two processes against one",
    cases=tuple(
        Case(f"{handler}_{processes}", partial(_run, handler=handler, processes=processes))
        for handler in HANDLERS
        for processes in (1, 2)
    ),
    figures=tuple(figure for handler, about in HANDLERS.items() for figure in _figures(handler, *about)),
    most_repetitions=3,
)
