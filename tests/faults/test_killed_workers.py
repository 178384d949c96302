"""Worker processes are killed one after another under load: nothing is lost and service goes on."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from broker_core import Backlog, FairDispatcher, Message
from broker_core.conformance.polling import Deadline
from broker_core.conformance.sizes import Size
from tests.servers.redis_local import LocalRedis
from tests.service.work_run import Workplace, WorkRun

PROCESSES = 2
LEASE_SECONDS = 2.0
LONGEST_STOP_SECONDS = LEASE_SECONDS + 2.0
BATCH, BATCHES_PER_SECOND = 20, 50
CUSTOMERS = 40
ENVIRONMENT = {
    "FAIRDISPATCH_LEASE_SECONDS": str(LEASE_SECONDS),
    # A message that is unlucky again and again would be a dead letter, which is no loss but not handled.
    "FAIRDISPATCH_MAX_ATTEMPTS": "1000",
}


async def publish_steadily(dispatcher: FairDispatcher, seconds: float, ids: list[str]) -> None:
    """Publish 1,000 messages a second; none is left out when a call takes longer."""
    start = time.monotonic()
    names = itertools.cycle(f"customer-{number}" for number in range(CUSTOMERS))
    for number in range(round(seconds * BATCHES_PER_SECOND)):
        await asyncio.sleep(start + number / BATCHES_PER_SECOND - time.monotonic())
        ids += await dispatcher.publish([Message(next(names)) for _ in range(BATCH)])


async def kill_in_turn(run: WorkRun, killed: list[int]) -> None:
    """Kill a process each second: of those at work the one that has been for longest."""
    while True:
        await asyncio.sleep(1.0)
        at_work = [pid for pid in run.ready_pids() if pid not in killed]
        if at_work:
            os.kill(at_work[0], signal.SIGKILL)
            killed.append(at_work[0])


def longest_stop(begin: float, times: list[float]) -> float:
    """The longest time without a message handled, from the beginning to the last one."""
    return max(later - earlier for earlier, later in pairwise([begin, *sorted(times)]))


@pytest.mark.timeout(240)
@pytest.mark.deadline(180)
async def test_nothing_is_lost_and_service_never_stops_for_long(
    redis7: LocalRedis, tmp_path: Path, deadline: Deadline, size: Size
) -> None:
    seconds = size.pick(short=8, full=60)
    place = Workplace(redis7.url, "killed-workers", tmp_path / "records.ndjson")
    options = ("--processes", str(PROCESSES), "--concurrency", "20")
    ids: list[str] = []
    killed: list[int] = []
    with place.working("work_handlers:record", *options, environment=ENVIRONMENT) as run:
        async with place.dispatcher() as dispatcher:
            await run.until_ready(PROCESSES, deadline)
            begin = time.monotonic()
            killing = asyncio.create_task(kill_in_turn(run, killed))
            await publish_steadily(dispatcher, seconds, ids)
            killing.cancel()
            await asyncio.wait([killing])

            async def done() -> bool:
                return await dispatcher.backlog() == Backlog()

            await deadline.until(done, "the end of all messages")
            run.send(signal.SIGTERM)
            assert await run.ended(deadline) == 0
    handled = run.records()
    stop = longest_stop(begin, [line["time"] for line in handled])
    print(
        f"published {len(ids)}, killed {len(killed)} times, handled again {len(handled) - len(ids)}, "
        f"longest stop {stop:.2f} s"
    )
    assert len(killed) >= seconds / 2
    assert {line["pid"] for line in run.events("worker process ended by itself")} == set(killed)
    assert {line["id"] for line in handled} == set(ids)
    assert stop <= LONGEST_STOP_SECONDS
