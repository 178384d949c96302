"""Everything that can go wrong with one server goes wrong in random order, for as long as wished."""

from __future__ import annotations

import asyncio
import random
import resource
from pathlib import Path
from typing import Any

import pytest

from broker_core.conformance.consuming import running
from broker_core.conformance.polling import Deadline
from tests.faults.aftermath import look_and_clean, until_drained
from tests.faults.callers import consume_for_ever, persist, publish_for_ever
from tests.faults.herd import Herd
from tests.faults.history import merge, read_histories
from tests.faults.invariants import Rules, check, longest_outage
from tests.faults.messages import message_of
from tests.faults.nemesis import wreak_havoc
from tests.faults.options import seconds_of, seed_of
from tests.faults.process import Task
from tests.faults.scene import Scene, scene
from tests.servers.redis_local import LocalRedis

CUSTOMERS = 8
LEASE_SECONDS = 1.5
MAX_ATTEMPTS = 10
DRAIN_SECONDS = 120.0
# The longest misdeed and the lease are shorter together, and callers pause for two seconds at most.
LONGEST_OUTAGE_SECONDS = 12.0


def herd_of(here: Scene, seed: int, behaviour: str, count: int) -> Herd:
    """Processes of one kind, every second one behind the proxy."""
    return Herd(
        [
            Task(
                here.target(through_proxy=place % 2 == 0),
                f"{behaviour}{place}",
                behaviour,
                str(here.folder),
                seed + place,
                customers=CUSTOMERS,
            )
            for place in range(count)
        ]
    )


@pytest.mark.random_mix
async def test_a_random_mix_of_faults(
    redis7: LocalRedis, tmp_path: Path, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    del redis7  # asked for, so that a machine without it skips
    seed, seconds = seed_of(pytestconfig), seconds_of(pytestconfig)
    with capsys.disabled():
        print(f"\nrandom mix of faults: --fault-seed {seed} --fault-seconds {seconds:g}")
    chance, calm = random.Random(seed), asyncio.Event()
    settings: dict[str, Any] = {
        "lease_seconds": LEASE_SECONDS,
        "max_attempts": MAX_ATTEMPTS,
        "dedup_window": 60.0,
    }
    settings |= {"backoff_base": 0.05, "backoff_cap": 0.5}
    async with scene(tmp_path, **settings) as here:
        async with (
            here.dispatcher("publisher", through_proxy=True) as publisher,
            here.dispatcher("near") as near,
            here.dispatcher("far", through_proxy=True) as far,
            herd_of(here, seed, "publish", 2) as publishers,
            herd_of(here, seed + 10, "work", 3) as workers,
        ):
            here.herds = [publishers, workers]
            consumers = [
                consume_for_ever(here, dispatcher, random.Random(seed + place), calm)
                for place, dispatcher in enumerate([near, far, far])
            ]
            async with running(consumers):
                async with running([publish_for_ever(here, publisher, chance, customers=CUSTOMERS)]):
                    await wreak_havoc(here, random.Random(seed), seconds)
                await publishers.stop()
                calm.set()
                await _end_calmly(here)
        async with here.dispatcher("observer") as observer:
            aftermath = await look_and_clean(here, observer)
    events = merge(here.history.events, *read_histories(tmp_path))
    findings = check(events, aftermath, Rules(MAX_ATTEMPTS, LEASE_SECONDS))
    outage = longest_outage(events, "receive")
    with capsys.disabled():
        print(f"{findings}; longest outage {outage:.1f} s; {_memory()}")
    assert findings.violations == []
    assert findings.confirmed > 20 * seconds
    assert outage < LONGEST_OUTAGE_SECONDS


async def _end_calmly(here: Scene) -> None:
    async with here.dispatcher("last") as last:
        # A foreign entry is found when its customer's next message comes.
        await persist(here, lambda: last.publish([message_of(f"c{number}/last/0") for number in range(2)]))
        await until_drained(last, Deadline(DRAIN_SECONDS))


def _memory() -> str:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"at most {used >> 10} MiB of memory here"
