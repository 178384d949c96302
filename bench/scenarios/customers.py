"""The same number of messages, divided among few or many active customers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from bench import traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario

PUBLISHERS, CONSUMERS = 2, 2
# Where each customer would have a queue or partition of its own: so many that all share.
SHARED = 100
HASHED = {"rabbitmq": {"hashed_queues": SHARED}, "kafka": {"hashed_partitions": SHARED}}


async def _run(bench: Bench, customers: int, messages: int, hashed: bool = False) -> Metrics:
    settings: Mapping[str, Any] = HASHED.get(bench.broker, {}) if hashed else {}
    active = bench.scaled(customers, least=min(customers, 10))
    load = traffic.Traffic(traffic.names(active), bench.scaled(messages) // active)
    async with traffic.dispatcher(bench, **settings) as d:
        return await traffic.drain_after(d, load, PUBLISHERS, CONSUMERS)


def _scenario(name: str, messages: int, cases: Mapping[str, Case], brokers: Mapping[str, float]) -> Scenario:
    figures = []
    for label, case in cases.items():
        figure = partial(Figure, case=case.name, unit="msg/s")
        figures += [
            figure(label=f"{label}: end to end", metric="end_to_end"),
            figure(label=f"{label}: publish", metric="publish"),
            figure(label=f"{label}: receive + ack", metric="receive_ack"),
        ]
    return Scenario(
        name=name,
        about=f"{messages:,} messages divided among so many customers, all with messages waiting; "
        "publishing includes what the broker makes for a customer",
        cases=tuple(cases.values()),
        figures=tuple(figures),
        most_repetitions=3,
        brokers=brokers,
    )


def _cases(messages: int, counts: tuple[int, ...]) -> dict[str, Case]:
    return {
        f"{count:,} customers": Case(str(count), partial(_run, customers=count, messages=messages))
        for count in counts
    }


SCENARIOS = (
    _scenario("customers", 200_000, _cases(200_000, (10, 100, 1_000, 10_000, 100_000)), {"redis": 1.0}),
    _scenario(
        "customers_few_messages",
        20_000,
        _cases(20_000, (10, 100, 1_000))
        | {
            f"10,000 customers, hashed over {SHARED} (Redis: each its own)": Case(
                "10000", partial(_run, customers=10_000, messages=20_000, hashed=True)
            )
        },
        {"redis": 1.0, "rabbitmq": 1.0, "kafka": 1.0},
    ),
)
