"""Reading the streams of all known customers in each loop, against the ready ring."""

from __future__ import annotations

from bench.designs import obvious
from bench.model import Bench, Case, Figure, Metrics, Scenario
from bench.scenarios import idle_customers

KNOWN, ACTIVE, EACH = 100_000, 10, 20_000
MEASURE_SECONDS = 5.0


async def _obvious(bench: Bench) -> Metrics:
    return await obvious.run(
        bench.url,
        known=bench.scaled(KNOWN, least=ACTIVE),
        active=ACTIVE,
        each=bench.scaled(500, least=50),
        measure_seconds=MEASURE_SECONDS,
    )


async def _ours(bench: Bench) -> Metrics:
    return await idle_customers.run(bench, idle=KNOWN, each=EACH)


SCENARIO = Scenario(
    name="obvious_design",
    about=f"{KNOWN:,} known customers, {ACTIVE} of them active",
    cases=(Case("obvious", _obvious), Case("ring", _ours)),
    figures=(
        Figure(label="XREADGROUP over all streams", case="obvious", metric="receive_ack", unit="msg/s"),
        Figure(label="… one loop", case="obvious", metric="loop_ms", unit="ms"),
        Figure(label="ready ring", case="ring", metric="receive_ack", unit="msg/s"),
        Figure(
            label="times slower",
            case="ring",
            metric="receive_ack",
            over=("obvious", "receive_ack"),
            at_least=100,
        ),
    ),
    most_repetitions=3,
)
