"""Ten active customers, alone and with 100,000 others that were active before: idle ones cost nothing."""

from __future__ import annotations

from functools import partial

from bench import traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario

ACTIVE, EACH, IDLE = 10, 20_000, 100_000


async def run(bench: Bench, idle: int) -> Metrics:
    """Let the others be active once, then measure ten."""
    customers = traffic.names(ACTIVE + bench.scaled(idle, least=0))
    async with traffic.dispatcher(bench) as d:
        before, tally = traffic.Traffic(customers[ACTIVE:], 1), traffic.Tally()
        await traffic.publish(d, before.batches(), tally, tasks=2)
        await traffic.consume(d, before.total, tally, tasks=2)
        load = traffic.Traffic(customers[:ACTIVE], bench.scaled(EACH))
        return await traffic.drain_after(d, load, publishers=2, consumers=2)


SCENARIO = Scenario(
    name="idle_customers",
    about=f"{ACTIVE} active customers with {IDLE:,} that were active before, against {ACTIVE} alone",
    cases=(Case("alone", partial(run, idle=0)), Case("many_idle", partial(run, idle=IDLE))),
    figures=(
        Figure(label="10 alone", case="alone", metric="end_to_end", unit="msg/s"),
        Figure(label="10 beside 100,000 idle", case="many_idle", metric="end_to_end", unit="msg/s"),
        Figure(
            label="ratio", case="many_idle", metric="end_to_end", over=("alone", "end_to_end"), at_least=0.9
        ),
        Figure(
            label="ratio of receive + ack",
            case="many_idle",
            metric="receive_ack",
            over=("alone", "receive_ack"),
            at_least=0.9,
        ),
    ),
)
