"""What a waiting message and a waiting customer take of memory and disk, and the CPU time of both sides."""

from __future__ import annotations

import time
from pathlib import Path

from bench import cpu, traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario
from bench.scale.model import disk_bytes, resident_bytes

CUSTOMERS, MESSAGES = 100, 100_000
MANY_CUSTOMERS = 5_000


def _taken(bench: Bench) -> tuple[int, int]:
    """Return bytes in memory and on disk; a server's working directory is its folder."""
    return resident_bytes(bench.server_pid), disk_bytes(Path(f"/proc/{bench.server_pid}/cwd").resolve())


async def _waiting(bench: Bench, load: traffic.Traffic, warming: traffic.Traffic) -> Metrics:
    """Publish `load` to a server that has done such work already, and see what it takes."""
    tally = traffic.Tally()
    async with traffic.dispatcher(bench) as d:
        await traffic.publish(d, warming.batches(), tally, tasks=1)
        await traffic.consume(d, warming.total, tally, tasks=1)
        memory, disk = _taken(bench)
        await traffic.publish(d, load.batches(), tally, tasks=1)
        full_memory, full_disk = _taken(bench)
        await traffic.consume(d, load.total, tally, tasks=1)
    return tally.proof() | {
        "waiting": load.total,
        "memory": (full_memory - memory) / load.total,
        "disk": (full_disk - disk) / load.total,
    }


async def _message(bench: Bench) -> Metrics:
    names = traffic.names(CUSTOMERS)
    each = bench.scaled(MESSAGES // CUSTOMERS)
    return await _waiting(bench, traffic.Traffic(names, each), traffic.Traffic(names, max(1, each // 10)))


async def _customer(bench: Bench) -> Metrics:
    names = traffic.names(CUSTOMERS + bench.scaled(MANY_CUSTOMERS))
    return await _waiting(
        bench, traffic.Traffic(names[CUSTOMERS:], 1), traffic.Traffic(names[:CUSTOMERS], 10)
    )


async def _cpu(bench: Bench) -> Metrics:
    names, tally = traffic.names(CUSTOMERS), traffic.Tally()
    load = traffic.Traffic(names, bench.scaled(MESSAGES // CUSTOMERS))
    warming = traffic.Traffic(names, max(1, load.each // 5))
    async with traffic.dispatcher(bench) as d:
        await traffic.drain_after(d, warming, publishers=1, consumers=1)
        begin = time.process_time(), cpu.seconds_of(bench.server_pid)
        await traffic.publish(d, load.batches(), tally, tasks=1)
        middle = time.process_time(), cpu.seconds_of(bench.server_pid)
        await traffic.consume(d, load.total, tally, tasks=1)
        end = time.process_time(), cpu.seconds_of(bench.server_pid)
    a_thousand = 1e6 / load.total
    return tally.proof() | {
        "publish_client": (middle[0] - begin[0]) * a_thousand,
        "publish_server": (middle[1] - begin[1]) * a_thousand,
        "receive_client": (end[0] - middle[0]) * a_thousand,
        "receive_server": (end[1] - middle[1]) * a_thousand,
    }


SCENARIO = Scenario(
    name="resources",
    about=f"payload of {len(traffic.PAYLOAD)} B; {MESSAGES:,} messages of {CUSTOMERS} customers, or one of "
    f"each of {MANY_CUSTOMERS:,}; publishes and receives of {traffic.BATCH}; the server is warm",
    cases=(Case("message", _message), Case("customer", _customer), Case("cpu", _cpu)),
    figures=(
        Figure(label="a waiting message: resident memory", case="message", metric="memory", unit="B"),
        Figure(label="a waiting message: disk", case="message", metric="disk", unit="B"),
        Figure(
            label="a customer with one message waiting: resident memory",
            case="customer",
            metric="memory",
            unit="B",
        ),
        Figure(label="a customer with one message waiting: disk", case="customer", metric="disk", unit="B"),
        Figure(label="publish 1,000: client", case="cpu", metric="publish_client", unit="ms"),
        Figure(label="publish 1,000: server", case="cpu", metric="publish_server", unit="ms"),
        Figure(label="receive + ack 1,000: client", case="cpu", metric="receive_client", unit="ms"),
        Figure(label="receive + ack 1,000: server", case="cpu", metric="receive_server", unit="ms"),
    ),
    most_repetitions=3,
    append_only=("everysec",),
    brokers={"redis": 1.0, "rabbitmq": 0.2, "kafka": 0.2},
)
