"""How soon each broker serves: empty, and again after a kill with a backlog: `python -m bench.restart`.

Also what it takes to run: processes, objects in the broker for a customer, lines of the adapter, settings of
the server, and steps to add or replace a node.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bench import machine, simplicity, traffic
from bench.model import Bench
from bench.scale.model import disk_bytes, resident_bytes
from broker_core.errors import BrokerUnavailable
from tests.servers.kafka_jars import kafka_jars
from tests.servers.kafka_local import LocalKafka
from tests.servers.rabbitmq_local import LocalRabbitMQ, debian_rabbitmq
from tests.servers.redis_local import LocalRedis, debian_redis

CUSTOMERS, EACH = 1_000, 20
MOST_SECONDS, TRY_SECONDS = 120.0, 5.0
SERVERS: dict[str, Callable[[], simplicity.Server]] = {
    "redis": lambda: LocalRedis(debian_redis()),
    "rabbitmq": lambda: LocalRabbitMQ(debian_rabbitmq()),
    "kafka": lambda: LocalKafka(kafka_jars()),
}
ADAPTERS = {"redis": "fair_redis_streams", "rabbitmq": "fair_rabbitmq", "kafka": "fair_kafka"}


async def first_delivery(bench: Bench) -> float:
    """Return the seconds until a new dispatcher receives something."""
    start = time.perf_counter()
    while time.perf_counter() - start < MOST_SECONDS:
        try:
            async with traffic.dispatcher(bench, timeout_seconds=TRY_SECONDS) as d:
                if got := await d.receive(1, wait=MOST_SECONDS):
                    elapsed = time.perf_counter() - start
                    await d.release(got)
                    return elapsed
        except BrokerUnavailable:
            await asyncio.sleep(0.05)
    raise SystemExit("nothing came after the restart")


def measure(name: str) -> dict[str, float | str]:
    """Start, fill, kill, start again."""
    server = SERVERS[name]()
    try:
        start = time.perf_counter()
        server.start()
        started = time.perf_counter() - start
        empty, empty_disk = resident_bytes(server.pid), disk_bytes(server.folder)
        processes = simplicity.processes(server)
        bench = Bench(url=server.url, server_pid=server.pid, scale=1.0)
        load, tally = traffic.Traffic(traffic.names(CUSTOMERS), EACH), traffic.Tally()

        async def fill() -> int:
            async with traffic.dispatcher(bench) as d:
                before = await simplicity.objects(server)
                await traffic.publish(d, load.batches(), tally, tasks=2)
                return await simplicity.objects(server) - before

        objects = asyncio.run(fill())
        full, full_disk = resident_bytes(server.pid), disk_bytes(server.folder)
        server.kill()
        server.launch()
        again = asyncio.run(first_delivery(bench))
        return {
            "server": server.version,
            "seconds to start, empty": started,
            "seconds from a restart with the backlog to a delivery": again,
            "processes": processes,
            "objects a waiting customer": objects / CUSTOMERS,
            "resident bytes, empty": empty,
            "resident bytes a message": (full - empty) / load.total,
            "disk bytes a message": (full_disk - empty_disk) / load.total,
        }
    finally:
        server.stop()


def lines_of(package: str) -> int:
    """Count the lines of an adapter's own code, without what protobuf generated."""
    files = [
        file
        for kind in ("*.py", "*.lua", "*.proto")
        for file in Path("adapters", package).rglob(kind)
        if "_pb2" not in file.name
    ]
    return sum(len(file.read_text("utf-8").splitlines()) for file in files)


def main(
    repeat: Annotated[int, typer.Option(min=1)] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
) -> None:
    """Measure all brokers in turn, print medians, write JSON."""
    raw: dict[str, list[dict[str, float | str]]] = {name: [] for name in SERVERS}
    for _ in range(repeat):
        for name, found in raw.items():
            found.append(measure(name))
    result: dict[str, object] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "customers": CUSTOMERS,
        "messages": CUSTOMERS * EACH,
        "raw": raw,
    }
    for name, found in raw.items():
        medians: dict[str, float | str] = {
            key: statistics.median(float(one[key]) for one in found) for key in found[0] if key != "server"
        }
        medians |= {"lines of the adapter": lines_of(ADAPTERS[name])} | simplicity.facts(name)
        result[name] = {"server": found[0]["server"]} | medians
        print(name, json.dumps(result[name], indent=1))
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
