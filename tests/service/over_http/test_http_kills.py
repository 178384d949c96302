"""Processes of serve and work are killed under load; whatever was answered with 202 is processed."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from broker_core.conformance.polling import Deadline
from broker_core.conformance.sizes import Size
from tests.service.over_http.brokers import Place
from tests.service.over_http.inside import NDJSON
from tests.service.over_http.serving import serving
from tests.service.work_run import Workplace, WorkRun

CONNECTIONS = 16
BATCH = 100
FEWEST_KILLS = 4


class Producer:
    """Publishes numbered messages, singly and in batches, each as often as it takes to be told its id."""

    def __init__(self, client: httpx.AsyncClient, numbers: Iterator[int]) -> None:
        self._client = client
        self._left = numbers
        self.stored: dict[int, str] = {}
        self.repeated = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(CONNECTIONS):
                group.create_task(self._batches() if number % 4 == 0 else self._singles())

    async def _singles(self) -> None:
        for number in self._left:
            path = f"/v1/customers/c{number % 50}/messages"
            headers = {"idempotency-key": str(number)}
            while number not in self.stored:
                try:
                    answer = await self._client.post(path, content=b"%d" % number, headers=headers)
                except httpx.TransportError:
                    await self._again()
                    continue
                if answer.status_code == 202:
                    self.stored[number] = answer.json()["id"]
                else:
                    assert answer.status_code == 503, answer.text
                    await self._again()

    async def _batches(self) -> None:
        while numbers := list(itertools.islice(self._left, BATCH)):
            while missing := [number for number in numbers if number not in self.stored]:
                lines = "".join(
                    json.dumps({"customer": f"c{n % 50}", "payload": str(n), "idempotency_key": str(n)})
                    + "\n"
                    for n in missing
                )
                try:
                    answer = await self._client.post("/v1/messages", content=lines, headers=NDJSON)
                except httpx.TransportError:
                    await self._again()
                    continue
                assert answer.status_code in (200, 503), answer.text
                if answer.status_code == 200:
                    for number, line in zip(missing, answer.text.splitlines(), strict=True):
                        if (id_ := json.loads(line).get("id")) is not None:
                            self.stored[number] = id_

    async def _again(self) -> None:
        self.repeated += 1
        await asyncio.sleep(0.05)


class Killer:
    """Kills one process after another."""

    def __init__(self, runs: list[WorkRun], seed: int) -> None:
        self._runs = runs
        self._dice = random.Random(seed)
        self.killed = 0

    async def run(self) -> None:
        """Go on until cancelled."""
        for run in itertools.cycle(self._runs):
            await asyncio.sleep(self._dice.uniform(0.3, 1.0))
            alive = set(run.ready_pids()) - {line["pid"] for line in run.events("worker process ended")}
            for pid in self._dice.sample(sorted(alive), min(1, len(alive))):
                os.kill(pid, signal.SIGKILL)
                self.killed += 1


def numbers(count: int, killer: Killer) -> Iterator[int]:
    """Count up to `count`, and on until enough was killed in the middle of it."""
    for number in itertools.count():
        if number >= count and killer.killed >= FEWEST_KILLS:
            return
        yield number


@pytest.mark.deadline(600)
@pytest.mark.timeout(700)
async def test_whatever_was_answered_with_202_is_processed(
    on_each: Place, tmp_path: Path, deadline: Deadline, size: Size
) -> None:
    count = size.pick(short=2_000, full=50_000)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    workplace = Workplace(on_each.url, on_each.namespace, tmp_path / "handled.ndjson")
    environment = {
        **on_each.environment(),
        "FAIRDISPATCH_LEASE_SECONDS": "2",
        "FAIRDISPATCH_MAX_ATTEMPTS": "1000",
    }
    with (
        serving(on_each, tmp_path, "--processes", "2", environment=environment) as served,
        workplace.working("work_handlers:record", "--processes", "2", environment=environment) as work,
    ):
        async with served.client(deadline, count=2) as client:
            await work.until_ready(2, deadline)
            killer = Killer([served.run, work], seed)
            producer = Producer(client, numbers(count, killer))
            killing = asyncio.ensure_future(killer.run())
            await producer.run()
            killing.cancel()
        stored = set(producer.stored.values())
        assert len(stored) == len(producer.stored) >= count
        async with on_each.dispatcher() as dispatcher:

            async def drained() -> bool:
                backlog = await dispatcher.backlog()
                return backlog.ready + backlog.leased + backlog.delayed == 0

            await deadline.until(drained, "everything to be processed")
            assert (await dispatcher.backlog()).dead == 0
        # Where counts are approximate, some may be under way although nothing is counted.
        await deadline.until(
            lambda: stored <= {line["id"] for line in work.records()},
            "every message that was answered with 202",
        )
        handled = [line["id"] for line in work.records()]
        if dispatcher.capabilities.dedup == "namespace":
            # Nothing was stored but what was asked for: the key of each message saw to that.
            assert set(handled) == stored
        again = len(handled) - len(stored)
        print(f"{len(stored)} messages, {killer.killed} kills, {producer.repeated} repeated, {again} twice")
