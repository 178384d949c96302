"""Publish → fair receive → ack, one Python process, batches of 200."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench import traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario

PUBLISHERS, CONSUMERS = 2, 2


async def _after(bench: Bench, customers: int, each: int) -> Metrics:
    load = traffic.Traffic(traffic.names(bench.scaled(customers)), each)
    async with traffic.dispatcher(bench) as d:
        return await traffic.drain_after(d, load, PUBLISHERS, CONSUMERS)


async def _meanwhile(bench: Bench, customers: int, each: int) -> Metrics:
    load = traffic.Traffic(traffic.names(bench.scaled(customers)), each)
    async with traffic.dispatcher(bench) as d:
        return await traffic.drain_meanwhile(d, load, PUBLISHERS, CONSUMERS)


def _scenario(
    name: str,
    customers: int,
    each: int,
    at_least: float | None,
    brokers: Sequence[str] = ("redis",),
    append_only: Sequence[str] = ("no", "everysec"),
) -> Scenario:
    figure = partial(Figure, unit="msg/s")
    return Scenario(
        name=name,
        about=f"{customers:,} customers × {each}, {PUBLISHERS} publishing and {CONSUMERS} consuming tasks",
        cases=(
            Case("after", partial(_after, customers=customers, each=each)),
            Case("meanwhile", partial(_meanwhile, customers=customers, each=each)),
        ),
        figures=(
            figure(label="publish all, then drain", case="after", metric="end_to_end", at_least=at_least),
            figure(label="… publish alone", case="after", metric="publish"),
            figure(label="… receive + ack alone", case="after", metric="receive_ack"),
            figure(label="drain while publishing", case="meanwhile", metric="end_to_end", at_least=at_least),
        ),
        append_only=tuple(append_only),
        brokers=dict.fromkeys(brokers, 1.0),
    )


SCENARIOS = (
    _scenario("end_to_end_1000", 1_000, 200, 60_000),
    _scenario("end_to_end_100000x2", 100_000, 2, 35_000),
    _scenario("end_to_end_1000x20", 1_000, 20, None, ("redis", "rabbitmq", "kafka"), ("no",)),
)
