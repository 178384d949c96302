"""A hundred customers with very different backlogs, four consumer processes: how equal is the service?

The server hands over in one order, which a consumer does not see. Two runs find it. In the strict one a lock
makes the receives of all processes follow one another, so that every window can be checked. In the free one
consumers run as they like and are ordered by the server's clock; windows begin and end with its milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench import fairness, traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario
from bench.processes.consumer import Batch
from broker_core import Message

CUSTOMERS, MOST, LEAST = 100, 100_000, 1_000
PROCESSES = 4
WINDOW = 10_000
MAX_MESSAGES = 64  # does not divide quantum × anything: most visits are cut short
BOUND = traffic.QUANTUM + 1 + 1


def _backlogs(bench: Bench) -> dict[str, int]:
    """Return MOST/1, MOST/2, … MOST/CUSTOMERS (which is LEAST), at the scale."""
    return {name: bench.scaled(MOST // place) for place, name in enumerate(traffic.names(CUSTOMERS), start=1)}


async def _run(bench: Bench, strict: bool) -> Metrics:
    tally = traffic.Tally()
    owners = [name for name, backlog in _backlogs(bench).items() for _ in range(backlog)]
    batches = (
        [Message(owner, traffic.PAYLOAD) for owner in owners[at : at + traffic.BATCH]]
        for at in range(0, len(owners), traffic.BATCH)
    )
    async with traffic.dispatcher(bench) as d:
        await traffic.publish(d, batches, tally, tasks=2)
    with tempfile.TemporaryDirectory() as folder:
        seconds, received = await _consume(bench, Path(folder), strict)
    for _, _, ids in received:
        tally.received += ids
    groups = fairness.by_order(((place, customers) for place, customers, _ in received), strict=strict)
    return tally.proof() | {
        "gap": fairness.worst_gap(groups),
        "jain": fairness.worst_jain(groups, bench.scaled(WINDOW)),
        "receive_ack": len(owners) / seconds,
        "groups": len(groups),
        "messages": len(owners),
    }


async def _consume(bench: Bench, folder: Path, strict: bool) -> tuple[float, list[Batch]]:
    lock = folder / "lock"
    lock.touch()
    outputs = [folder / f"{number}.json" for number in range(PROCESSES)]
    pipe = asyncio.subprocess.PIPE
    consumers = []
    for output in outputs:
        command = [
            sys.executable,
            "-m",
            "bench.processes.consumer",
            bench.url,
            str(MAX_MESSAGES),
            str(output),
        ]
        if strict:
            command.append(str(lock))
        consumers.append(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))
    for consumer in consumers:
        assert consumer.stdout is not None
        await consumer.stdout.readline()
    start = time.perf_counter()
    await asyncio.gather(*(consumer.communicate(b"go\n") for consumer in consumers))
    seconds = time.perf_counter() - start
    received: list[Batch] = []
    for output in outputs:
        received += json.loads(output.read_text())
    return seconds, received


SCENARIO = Scenario(
    name="fairness_processes",
    about=f"{CUSTOMERS} customers with {LEAST:,} to {MOST:,} waiting, {PROCESSES} processes, "
    f"receive({MAX_MESSAGES})",
    cases=(Case("strict", partial(_run, strict=True)), Case("free", partial(_run, strict=False))),
    figures=(
        Figure(label="one receive at a time: worst gap", case="strict", metric="gap", at_most=BOUND),
        Figure(label=f"… worst Jain of {WINDOW:,}", case="strict", metric="jain", at_least=0.999),
        Figure(label="… hand-overs", case="strict", metric="messages"),
        Figure(label="free running: worst gap", case="free", metric="gap", at_most=BOUND),
        # Such a window is some hand-overs longer than ten rounds, so some customers had a visit more.
        Figure(label=f"… worst Jain of just over {WINDOW:,}", case="free", metric="jain"),
        Figure(label="… hand-overs", case="free", metric="messages"),
        Figure(label="… receive + ack", case="free", metric="receive_ack", unit="msg/s"),
    ),
    most_repetitions=1,
)
