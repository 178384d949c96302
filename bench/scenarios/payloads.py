"""Messages of different sizes: how many a second, and how many megabytes."""

from __future__ import annotations

from functools import partial

from bench import traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario

CUSTOMERS = 100
# Bytes of a payload, and messages for each customer.
SIZES = {0: 500, 100: 500, 1_000: 500, 10_000: 100, 100_000: 20}
LARGEST_BATCH_BYTES = 1_000_000
PUBLISHERS, CONSUMERS = 2, 2


async def _run(bench: Bench, size: int) -> Metrics:
    batch = min(traffic.BATCH, LARGEST_BATCH_BYTES // max(1, size))
    each = bench.scaled(SIZES[size], least=2)
    load = traffic.Traffic(traffic.names(CUSTOMERS), each, payload=b"x" * size, batch=batch)
    async with traffic.dispatcher(bench) as d:
        await traffic.make_known(d, load.customers)
        metrics = dict(await traffic.drain_after(d, load, PUBLISHERS, CONSUMERS))
    megabytes = size / 1e6
    return metrics | {
        "publish_mb": float(metrics["publish"]) * megabytes,
        "receive_ack_mb": float(metrics["receive_ack"]) * megabytes,
    }


def _figures(size: int) -> list[Figure]:
    figure = partial(Figure, case=str(size))
    title = f"{size:,} B"
    return [
        figure(label=f"{title}: publish", metric="publish", unit="msg/s"),
        figure(label=f"{title}: publish, bytes", metric="publish_mb", unit="MB/s"),
        figure(label=f"{title}: receive + ack", metric="receive_ack", unit="msg/s"),
        figure(label=f"{title}: receive + ack, bytes", metric="receive_ack_mb", unit="MB/s"),
    ]


SCENARIO = Scenario(
    name="payloads",
    about=f"{CUSTOMERS} customers, payloads of one byte repeated; publishes and receives of {traffic.BATCH} "
    f"messages, or fewer so that they have {LARGEST_BATCH_BYTES:,} bytes at most",
    cases=tuple(Case(str(size), partial(_run, size=size)) for size in SIZES),
    figures=tuple(figure for size in SIZES for figure in _figures(size)),
    most_repetitions=3,
    brokers={"redis": 1.0, "rabbitmq": 0.4, "kafka": 0.4},
)
