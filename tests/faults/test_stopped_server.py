"""The server hangs under traffic: callers are told what is unknown, nothing is lost or stored twice."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from broker_core.conformance.consuming import running
from broker_core.conformance.polling import Deadline
from tests.faults.aftermath import look_and_clean, until_drained
from tests.faults.callers import consume_for_ever, publish_for_ever
from tests.faults.invariants import Rules, check, longest_outage
from tests.faults.scene import scene

LEASE_SECONDS = 1.5
MAX_ATTEMPTS = 20
RECOVERY_SECONDS = 5.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    short = metafunc.config.getoption("--conformance-size") == "short"
    metafunc.parametrize("stopped_seconds", [2.5] if short else [1.0, 2.5, 10.0, 30.0])


async def test_a_server_that_hangs(
    redis7: object, tmp_path: Path, deadline: Deadline, stopped_seconds: float
) -> None:
    calm = asyncio.Event()
    async with (
        scene(tmp_path, lease_seconds=LEASE_SECONDS, max_attempts=MAX_ATTEMPTS) as here,
        here.dispatcher("publisher") as publisher,
        here.dispatcher("consumer") as consumer,
    ):
        async with running(consume_for_ever(here, consumer, random.Random(seed), calm) for seed in range(2)):
            async with running([publish_for_ever(here, publisher, random.Random(3), customers=4)]):
                await asyncio.sleep(0.5)
                here.server.suspend()
                await asyncio.sleep(stopped_seconds)
                here.server.resume()
                await asyncio.sleep(1.0)
            calm.set()
            await until_drained(publisher, deadline)
        aftermath = await look_and_clean(here, publisher)
    findings = check(here.history.events, aftermath, Rules(MAX_ATTEMPTS, LEASE_SECONDS))
    assert findings.violations == []
    assert findings.confirmed > 20
    assert longest_outage(here.history.events, "receive") < stopped_seconds + LEASE_SECONDS + RECOVERY_SECONDS
