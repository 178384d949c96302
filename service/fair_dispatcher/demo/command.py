"""The demo from start to end: traffic, both lanes, the table, the verdict."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from broker_core import Message
from fair_dispatcher.demo.consumers import Access, Consumers, LocalConsumers, Work
from fair_dispatcher.demo.lanes import FAIR, FIFO
from fair_dispatcher.demo.processes import ProcessConsumers
from fair_dispatcher.demo.run import Outcome, run_lane
from fair_dispatcher.demo.scenario import Plan, make_scenario
from fair_dispatcher.demo.table import Progress, introduction, note, results
from fair_dispatcher.demo.traffic import Arrival, generate, read

_PROBE = "demo-probe"


def make_traffic(plan: Plan, path: Path | None) -> list[Arrival]:
    """Read the traffic from the file, or make it.

    Raises OSError or ValueError for a file that is none.
    """
    if path is not None:
        return sorted(read(path), key=lambda arrival: arrival.at)
    return generate(plan.seed, plan.messages)


async def run_demo(
    plan: Plan, traffic: Sequence[Arrival], access: Access, *, as_json: bool
) -> Sequence[Outcome]:
    """Run both lanes and print the outcome on the standard output; return it too, the fair lane first.

    With as_json the output is one JSON object, and progress goes to the standard error.
    """
    console = Console(stderr=as_json)
    scenario = make_scenario(plan, traffic)
    customers = len({arrival.customer for arrival in traffic})
    async with _consumers(plan, access) as consumers:
        console.print(introduction(plan, scenario, customers, consumers.where), highlight=False)
        with Progress(console) as progress:
            outcomes = [
                await run_lane(lane, plan, scenario, access, consumers, progress.show)
                for lane in (FAIR, FIFO)
            ]
    if as_json:
        Console(soft_wrap=True).print_json(json.dumps({"plan": asdict(plan), **_as_data(outcomes)}))
    else:
        console.print(results(plan, outcomes))
        console.print(note(plan))
    return outcomes


@asynccontextmanager
async def _consumers(plan: Plan, access: Access) -> AsyncIterator[Consumers]:
    """Start processes; if they can't see what is published here, let consumers work in this one instead."""
    work = Work(plan.concurrency, plan.handler_seconds)
    namespace = f"{plan.namespace}-{FAIR.name}"
    async with ProcessConsumers.started(plan.consumers, access, work) as processes:
        async with access.dispatcher(namespace) as dispatcher:
            await dispatcher.publish(Message(_PROBE))
            try:
                shared = await processes.see_messages(namespace)
            finally:
                await dispatcher.purge(_PROBE)
        if shared:
            yield processes
            return
    yield LocalConsumers(plan.consumers, access, work)


def _as_data(outcomes: Sequence[Outcome]) -> dict[str, object]:
    return {
        outcome.lane.name: {
            "quiet_wait_seconds": asdict(outcome.quiet),
            "flooder_wait_seconds": asdict(outcome.flooder),
            "jain_index": outcome.jain,
            "messages": outcome.messages,
            "lost": outcome.lost,
            "duplicated": outcome.duplicated,
            "left_in_broker": outcome.left,
            "seconds": outcome.seconds,
            "messages_per_second": outcome.per_second,
        }
        for outcome in outcomes
    }
