"""The bound of the fairness contract on recorded hand-overs of every broker, by one and by two dispatchers.

Where one scheduler serves all dispatchers, their receives follow one another, so that the order of hand-overs
is the scheduler's. Where each has a scheduler of its own they run freely: any window of the joint order is a
window of each, so the sum of their bounds holds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from functools import partial

from bench import fairness, traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario
from broker_core import FairDispatcher

CUSTOMERS, EACH, LEAST = 20, 5_000, 300
MAX_MESSAGES = 64  # does not divide quantum × anything: most visits are cut short
FETCHED_AHEAD = 100  # of a customer, by a dispatcher with a scheduler of its own: more than any does
WINDOW = 1_000
BOUND = traffic.QUANTUM + 1 + 1


async def _run(bench: Bench, dispatchers: int) -> Metrics:
    load, tally = traffic.Traffic(traffic.names(CUSTOMERS), bench.scaled(EACH, least=LEAST)), traffic.Tally()
    order: list[str] = []
    async with contextlib.AsyncExitStack() as stack:
        all_of_them = [await stack.enter_async_context(traffic.dispatcher(bench)) for _ in range(dispatchers)]
        is_one_scheduler = all_of_them[0].capabilities.fairness_scope == "namespace"
        await traffic.publish(all_of_them[0], load.batches(), tally, tasks=2)
        turn = asyncio.Lock() if is_one_scheduler else None
        async with asyncio.TaskGroup() as group:
            for d in all_of_them:
                group.create_task(_consume(d, load.total, order, tally, turn))
    judged = _while_all_wait(order, load.each, 0 if is_one_scheduler else FETCHED_AHEAD * dispatchers)
    groups = fairness.by_order(enumerate([customer] for customer in judged), strict=True)
    bound = BOUND if is_one_scheduler else BOUND * dispatchers
    gap = fairness.worst_gap(groups)
    return tally.proof() | {
        "gap": gap,
        "bound": bound,
        "gap_of_bound": gap / bound,
        "jain": fairness.worst_jain(groups, min(WINDOW, len(judged) // 2)),
        "messages": len(judged),
    }


async def _consume(
    d: FairDispatcher, total: int, order: list[str], tally: traffic.Tally, turn: asyncio.Lock | None
) -> None:
    """Receive and ack until everything was handed over; note the customers in the order of hand-over."""
    while len(order) < total:
        async with turn or contextlib.nullcontext():
            deliveries = await d.receive(MAX_MESSAGES, wait=traffic.WAIT_SECONDS)
            order += [delivery.customer for delivery in deliveries]
        tally.take(deliveries)
        await d.ack(deliveries)


def _while_all_wait(order: list[str], each: int, fetched_ahead: int) -> list[str]:
    """Return the order as long as every customer has more left than what dispatchers may have fetched."""
    served: Counter[str] = Counter()
    for place, customer in enumerate(order):
        served[customer] += 1
        if served[customer] >= each - fetched_ahead:
            return order[: place + 1]
    return order


def _figures(case: str, title: str) -> tuple[Figure, ...]:
    return (
        Figure(label=f"{title}: worst gap of two customers", case=case, metric="gap"),
        Figure(label=f"{title}: bound", case=case, metric="bound"),
        Figure(label=f"{title}: gap ÷ bound", case=case, metric="gap_of_bound", at_most=1),
        Figure(label=f"{title}: worst Jain of {WINDOW:,}", case=case, metric="jain"),
        Figure(label=f"{title}: hand-overs", case=case, metric="messages"),
    )


SCENARIO = Scenario(
    name="fairness_brokers",
    about=f"{CUSTOMERS} customers × {EACH:,}, receive({MAX_MESSAGES}), every window in which all have "
    "something waiting",
    cases=(Case("one", partial(_run, dispatchers=1)), Case("two", partial(_run, dispatchers=2))),
    figures=(*_figures("one", "one dispatcher"), *_figures("two", "two dispatchers")),
    most_repetitions=3,
    brokers={"redis": 1.0, "rabbitmq": 0.2, "kafka": 0.2},
)
