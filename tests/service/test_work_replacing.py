"""`fairdispatch work` replaces processes: those that crash, and all of them for new code."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from broker_core import Message
from broker_core.conformance.consuming import assert_backlog
from broker_core.conformance.polling import Deadline
from fair_dispatcher.work.child import Child
from fair_dispatcher.work.crew import Crew
from fair_dispatcher.work.options import WorkOptions
from fair_dispatcher.work.slot import Slot, pause_seconds
from fair_dispatcher.work.spawning import spawn
from tests.service.work_run import HANDLERS, Workplace, WorkRun

WITH_HANDLERS = {"PYTHONPATH": str(HANDLERS)}
VERSION = """
from work_handlers import note
async def handle(delivery):
    note("by version {version}", delivery)
"""


async def test_a_crashed_process_is_replaced_and_its_message_handled_again(
    workplace: Workplace, deadline: Deadline
) -> None:
    with workplace.working(
        "work_handlers:crash_at_first", "--processes", "1", environment={"FAIRDISPATCH_LEASE_SECONDS": "1"}
    ) as run:
        async with workplace.dispatcher() as dispatcher:
            (pid,) = await run.until_ready(1, deadline)
            ids = await dispatcher.publish(Message("a"))
            (handled,) = await run.until_noted(1, deadline)
            (crashed,) = run.records("crashed")
            run.send(signal.SIGTERM)
            assert await run.ended(deadline) == 0
            await assert_backlog(dispatcher)
    assert (crashed["id"], crashed["attempt"], crashed["pid"]) == (ids[0], 1, pid)
    assert (handled["id"], handled["attempt"]) == (ids[0], 2)
    assert handled["pid"] == run.ready_pids()[-1] != pid
    (line,) = run.events("worker process ended by itself")
    assert (line["level"], line["pid"], line["exit_code"]) == ("error", pid, 9)


@pytest.mark.parametrize("is_last", [False, True])
def test_the_pause_before_a_replacement_grows_to_its_limit(is_last: bool) -> None:
    limit = 1.0 if is_last else 10.0
    for failures in range(1, 100):
        pause = pause_seconds(failures, is_last=is_last)
        assert min(limit / 1.5, 0.08 * 2 ** (failures - 1)) <= pause <= limit


def fewest_at_work(run: WorkRun, processes: int) -> int:
    """How many processes took messages at least, once that many did; as the log tells."""
    at_work, counts = 0, []
    for line in list(run.lines):
        at_work += {"worker process ready": 1, "worker process retires": -1}.get(line["event"], 0)
        counts.append(at_work)
    return min(counts[counts.index(processes) :])


async def test_sighup_renews_all_processes_and_their_code_without_a_gap(
    workplace: Workplace, deadline: Deadline, tmp_path: Path
) -> None:
    code = tmp_path / "versioned.py"
    code.write_text(VERSION.format(version=1))
    ids: list[str] = []
    with workplace.working(
        "versioned:handle", "--processes", "2", folder=tmp_path, environment=WITH_HANDLERS
    ) as run:
        async with workplace.dispatcher() as dispatcher:
            old = await run.until_ready(2, deadline)

            enough = asyncio.Event()

            async def publish() -> None:
                while not enough.is_set():  # a publish that is cancelled may have stored what nobody knows
                    ids.extend(await dispatcher.publish([Message("a"), Message("b")]))
                    await asyncio.sleep(0.005)

            publishing = asyncio.create_task(publish())
            await run.until_noted(1, deadline, "by version 1")
            code.write_text(VERSION.format(version=2))
            run.send(signal.SIGHUP)
            await run.until_logged("all worker processes are new", deadline)
            new = run.ready_pids()[2:]
            before = len(run.records("by version 2"))
            await run.until_noted(before + 20, deadline, "by version 2")
            enough.set()
            await publishing
            await deadline.until(
                lambda: len(run.records("by version 1") + run.records("by version 2")) >= len(ids),
                "all messages",
            )
            run.send(signal.SIGTERM)
            assert await run.ended(deadline) == 0
            await assert_backlog(dispatcher)
    assert len(new) == 2
    assert not set(old) & set(new)
    handled = run.records("by version 1") + run.records("by version 2")
    assert sorted(line["id"] for line in handled) == sorted(ids)
    assert {line["attempt"] for line in handled} == {1}
    assert {line["pid"] for line in run.records("by version 1")} <= set(old)
    assert {line["pid"] for line in run.records("by version 2")} <= set(new)
    assert fewest_at_work(run, 2) == 2
    assert {line["pid"] for line in run.events("worker process retires")} == set(old)


async def test_new_code_that_cannot_be_imported_leaves_the_old_processes_at_work(
    workplace: Workplace, deadline: Deadline, tmp_path: Path
) -> None:
    code = tmp_path / "versioned.py"
    code.write_text(VERSION.format(version=1))
    with workplace.working(
        "versioned:handle", "--processes", "1", folder=tmp_path, environment=WITH_HANDLERS
    ) as run:
        async with workplace.dispatcher() as dispatcher:
            pids = await run.until_ready(1, deadline)
            code.write_text("import nothing_like_that")
            run.send(signal.SIGHUP)
            (line,) = await run.until_logged("the new worker process can't take over", deadline)
            await dispatcher.publish([Message("a") for _ in range(3)])
            handled = await run.until_noted(3, deadline, "by version 1")
            run.send(signal.SIGTERM)
            assert await run.ended(deadline) == 0
    assert "nothing_like_that" in line["reason"]
    assert "versioned.py, line 1" in line["reason"]
    assert {line["pid"] for line in handled} == set(pids) == set(run.ready_pids())


class ReluctantCrew(Crew):
    """On a machine that has no room for another process at first."""

    def __init__(self) -> None:
        super().__init__(WorkOptions(handler="a:b", processes=1))
        self.refusals = 2
        self.started = asyncio.Event()

    async def start(self, number: int) -> Child:
        if self.refusals:
            self.refusals -= 1
            raise BlockingIOError("no more processes")
        self.started.set()
        return await super().start(number)


async def test_a_process_that_cannot_be_started_is_tried_again() -> None:
    crew = ReluctantCrew()
    keeping = asyncio.create_task(Slot(1, crew).keep())
    async with asyncio.timeout(20):
        await crew.started.wait()
    keeping.cancel()
    await asyncio.wait([keeping])
    assert keeping.cancelled()
    await crew.end(asyncio.Event())


@pytest.mark.parametrize("module", ["process", "handler_process"])
async def test_a_process_ends_when_its_line_to_the_parent_ends(module: str) -> None:
    # As where the parent's death isn't told otherwise.
    options = WorkOptions(
        handler="tests.service.work_handlers:slow_sync",
        processes=1,
        broker="redis",
        url="redis://127.0.0.1:1",
    )
    spawned = await spawn(f"fair_dispatcher.work.{module}", 1, options)
    spawned.writer.close()
    async with asyncio.timeout(20):
        await spawned.process.wait()
