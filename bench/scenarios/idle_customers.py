"""Ten active customers, alone and with many others that were active before: idle ones cost nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from bench import traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario

ACTIVE = 10


async def run(bench: Bench, idle: int, each: int) -> Metrics:
    """Let the others be active once, then measure ten."""
    customers = traffic.names(ACTIVE + bench.scaled(idle, least=0))
    async with traffic.dispatcher(bench) as d:
        await traffic.make_known(d, customers[:ACTIVE])
        before, tally = traffic.Traffic(customers[ACTIVE:], 1), traffic.Tally()
        await traffic.publish(d, before.batches(), tally, tasks=2)
        await traffic.consume(d, before.total, tally, tasks=2)
        load = traffic.Traffic(customers[:ACTIVE], bench.scaled(each))
        return await traffic.drain_after(d, load, publishers=2, consumers=2)


def _scenario(
    name: str, each: int, idle: int, at_least: float | None, brokers: Mapping[str, float]
) -> Scenario:
    return Scenario(
        name=name,
        about=f"{ACTIVE} active customers with {idle:,} that were active before, against {ACTIVE} alone",
        cases=(
            Case("alone", partial(run, idle=0, each=each)),
            Case("many_idle", partial(run, idle=idle, each=each)),
        ),
        figures=(
            Figure(label="10 alone", case="alone", metric="end_to_end", unit="msg/s"),
            Figure(label=f"10 beside {idle:,} idle", case="many_idle", metric="end_to_end", unit="msg/s"),
            Figure(
                label="ratio",
                case="many_idle",
                metric="end_to_end",
                over=("alone", "end_to_end"),
                at_least=at_least,
            ),
            Figure(
                label="ratio of receive + ack",
                case="many_idle",
                metric="receive_ack",
                over=("alone", "receive_ack"),
                at_least=at_least,
            ),
        ),
        brokers=brokers,
    )


SCENARIOS = (
    _scenario("idle_customers", 20_000, 100_000, 0.9, {"redis": 1.0}),
    _scenario("idle_customers_few", 4_000, 500, None, {"redis": 1.0, "rabbitmq": 1.0, "kafka": 1.0}),
)
