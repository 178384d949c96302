"""The demo from start to end: traffic, both lanes, the table, the verdict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from fair_dispatcher.demo.lanes import FAIR, FIFO
from fair_dispatcher.demo.run import OpenDispatcher, Outcome, run_lane
from fair_dispatcher.demo.scenario import Plan, make_scenario
from fair_dispatcher.demo.table import Progress, introduction, note, results
from fair_dispatcher.demo.traffic import SAMPLE_MESSAGES, SAMPLE_SEED, Arrival, generate, read

# Where it is in a checkout; an installed package makes the same traffic anew.
_SAMPLE = Path(__file__).parents[3] / "examples" / "traffic" / "sample.ndjson"


def make_traffic(plan: Plan, path: Path | None) -> list[Arrival]:
    """Read the traffic from the file, or from the sample if the plan asks for what is in it, or make it.

    Raises OSError or ValueError for a file that is none.
    """
    if path is not None:
        return sorted(read(path), key=lambda arrival: arrival.at)
    if (plan.seed, plan.messages) == (SAMPLE_SEED, SAMPLE_MESSAGES) and _SAMPLE.is_file():
        return read(_SAMPLE)
    return generate(plan.seed, plan.messages)


async def run_demo(
    plan: Plan, traffic: Sequence[Arrival], open_dispatcher: OpenDispatcher, *, as_json: bool
) -> bool:
    """Run both lanes and print the outcome on the standard output; return whether every message came once.

    With as_json the output is one JSON object, and progress goes to the standard error.
    """
    console = Console(stderr=as_json)
    scenario = make_scenario(plan, traffic)
    customers = len({arrival.customer for arrival in traffic})
    console.print(introduction(plan, scenario, customers), highlight=False)
    with Progress(console) as progress:
        outcomes = [
            await run_lane(lane, plan, scenario, open_dispatcher, progress.show) for lane in (FAIR, FIFO)
        ]
    if as_json:
        Console(soft_wrap=True).print_json(json.dumps({"plan": asdict(plan), **_as_data(outcomes)}))
    else:
        console.print(results(plan, outcomes))
        console.print(note(plan))
    return all(outcome.exact for outcome in outcomes)


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
