"""A consumer process that holds leases is killed while another goes on: when are its messages handled?"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench import traffic
from bench.model import Bench, Case, Figure, Metrics, Scenario
from broker_core import Delivery, FairDispatcher, Message

CUSTOMERS, HELD = 100, 200
GAP_SECONDS = 0.05
LEASE_SECONDS = 5.0
BEFORE_SECONDS = 1.0
MOST_SECONDS = 60.0


async def _run(bench: Bench) -> Metrics:
    load, tally = traffic.Traffic(traffic.names(CUSTOMERS), HELD // CUSTOMERS), traffic.Tally()
    acked: dict[str, float] = {}
    attempts = {1}
    over = asyncio.Event()

    async def note(d: FairDispatcher, deliveries: list[Delivery]) -> None:
        tally.take(deliveries)
        await d.ack(deliveries)
        acked.update((delivery.id, time.perf_counter()) for delivery in deliveries)
        attempts.update(delivery.attempt for delivery in deliveries)

    async def go_on(d: FairDispatcher) -> None:
        while not over.is_set() or not acked.keys() >= set(tally.published):
            await note(d, await d.receive(traffic.BATCH, wait=traffic.WAIT_SECONDS))

    async def go_on_publishing(d: FairDispatcher) -> None:
        while not over.is_set():
            tally.published += await d.publish(
                [Message(name, traffic.PAYLOAD) for name in load.customers[:5]]
            )
            await asyncio.sleep(GAP_SECONDS)

    async with traffic.dispatcher(bench, lease_seconds=LEASE_SECONDS) as d, asyncio.timeout(MOST_SECONDS):
        await traffic.publish(d, load.batches(), tally, tasks=1)
        async with _holding(bench) as (holder, held), asyncio.TaskGroup() as group:
            group.create_task(go_on_publishing(d))
            group.create_task(go_on(d))
            await asyncio.sleep(BEFORE_SECONDS)
            holder.kill()
            killed = time.perf_counter()
            while not acked.keys() >= held:  # noqa: ASYNC110 (nothing tells it)
                await asyncio.sleep(0.01)
            over.set()
    proof = tally.proof()
    again = proof.pop("duplicated")
    seconds = sorted(acked[message] - killed for message in held)
    return proof | {
        "held": len(held),
        "first_seconds": seconds[0],
        "last_seconds": seconds[-1],
        "again": again,
        "most_attempts": max(attempts),
    }


@asynccontextmanager
async def _holding(bench: Bench) -> AsyncIterator[tuple[asyncio.subprocess.Process, set[str]]]:
    """Start a process that holds leases; yield it and the ids of its messages."""
    command = (sys.executable, "-m", "bench.processes.holder", bench.url, str(HELD), str(LEASE_SECONDS))
    holder = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert holder.stdout is not None
        yield holder, set(json.loads(await holder.stdout.readline()))
    finally:
        if holder.returncode is None:
            holder.kill()
        await holder.wait()


SCENARIO = Scenario(
    name="recovery",
    about=f"a process is killed {BEFORE_SECONDS:g} s after it received {HELD} messages with a lease of "
    f"{LEASE_SECONDS:g} s; another receives and acks all the while",
    cases=(Case("recovery", _run),),
    figures=(
        Figure(
            label="kill → the first of its messages acked", case="recovery", metric="first_seconds", unit="s"
        ),
        Figure(
            label="kill → the last of its messages acked", case="recovery", metric="last_seconds", unit="s"
        ),
        Figure(label="messages acked that came again", case="recovery", metric="again"),
        Figure(label="lost", case="recovery", metric="lost", at_most=0),
    ),
    most_repetitions=3,
    brokers={"redis": 1.0, "rabbitmq": 1.0, "kafka": 1.0},
)
