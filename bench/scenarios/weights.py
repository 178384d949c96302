"""Customers of weight 1, 2 and 5: how the hand-overs are shared while all of them have messages waiting."""

from __future__ import annotations

from collections import Counter

from bench import traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario
from broker_core import CustomerPolicy

EACH = 20_000
WEIGHTS = {"weight-1": 1, "weight-2": 2, "weight-5": 5}


async def _run(bench: Bench) -> Metrics:
    load, tally = traffic.Traffic(list(WEIGHTS), bench.scaled(EACH, least=500)), traffic.Tally()
    order: list[str] = []
    async with traffic.dispatcher(bench) as d:
        for customer, weight in WEIGHTS.items():
            await d.set_policy(customer, CustomerPolicy(weight=weight))
        await traffic.publish(d, load.batches(), tally, tasks=1)
        while len(order) < load.total:
            deliveries = await d.receive(traffic.BATCH, wait=traffic.STALL_SECONDS)
            if not deliveries:
                break
            tally.take(deliveries)
            order += [delivery.customer for delivery in deliveries]
            await d.ack(deliveries)
    shared = _while_all_wait(order)
    parts = {customer: count / shared.total() for customer, count in shared.items()}
    fair = {customer: weight / sum(WEIGHTS.values()) for customer, weight in WEIGHTS.items()}
    return (
        tally.proof()
        | {customer: parts[customer] * 100 for customer in WEIGHTS}
        | {
            "off": max(abs(parts[customer] / fair[customer] - 1) for customer in WEIGHTS) * 100,
            "messages": shared.total(),
        }
    )


def _while_all_wait(order: list[str]) -> Counter[str]:
    """Count the hand-overs of each until the first of them has had its last."""
    last = {customer: place for place, customer in enumerate(order)}
    return Counter(order[: min(last.values()) + 1])


SCENARIO = Scenario(
    name="weights",
    about=f"weights {':'.join(str(weight) for weight in WEIGHTS.values())}, {EACH:,} messages each, "
    "until the first has none left",
    cases=(Case("weights", _run),),
    figures=(
        *(
            Figure(
                label=f"weight {weight}: share (fair: {weight / sum(WEIGHTS.values()):.1%})",
                case="weights",
                metric=customer,
                unit="%",
            )
            for customer, weight in WEIGHTS.items()
        ),
        Figure(label="furthest from its fair share", case="weights", metric="off", unit="% of it", at_most=5),
        Figure(label="hand-overs", case="weights", metric="messages"),
    ),
    most_repetitions=3,
    brokers={"redis": 1.0, "rabbitmq": 0.1, "kafka": 0.1},
)
