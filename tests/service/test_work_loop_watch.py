"""A blocked event loop is noticed, and who blocks it is named."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from broker_core import Delivery, Message
from broker_core.conformance.polling import Deadline
from fair_dispatcher.work.handlers import HandlerExit
from fair_dispatcher.work.loop_watch import LoopWatch
from tests.service.work_run import Workplace

NOW = datetime.now(UTC)
BLOCKED_AFTER_SECONDS = 0.15


def delivery(customer: str) -> Delivery:
    return Delivery(Message(customer), f"id of {customer}", 1, NOW, NOW, "receipt")


def watch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "loop-watch"]


@pytest.fixture
def log() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def compute(seconds: float) -> None:
    time.sleep(seconds)


async def blocking(_: Delivery) -> None:
    await asyncio.sleep(0)
    compute(4 * BLOCKED_AFTER_SECONDS)


async def patient(_: Delivery) -> None:
    await asyncio.sleep(4 * BLOCKED_AFTER_SECONDS)


async def run(
    watch: LoopWatch, *pairs: tuple[str, Callable[[Delivery], Awaitable[None]]]
) -> list[BaseException | None]:
    with watch:
        handlers = [watch.watched(handler)(delivery(customer)) for customer, handler in pairs]
        return await asyncio.gather(*handlers, return_exceptions=True)


async def test_the_handler_that_blocks_is_named_among_others(log: list[Any]) -> None:
    await run(LoopWatch(BLOCKED_AFTER_SECONDS), ("patient", patient), ("blocker", blocking))
    (line,) = log
    assert (line["event"], line["log_level"]) == ("the event loop is blocked", "warning")
    assert (line["customer"], line["message_id"]) == ("blocker", "id of blocker")
    assert (line["handler"], line["file"]) == ("blocking", __file__)
    assert line["line"] == blocking.__code__.co_firstlineno + 2
    assert line["stack"].count("File") == 2
    assert "in compute" in line["stack"]
    assert line["seconds"] >= BLOCKED_AFTER_SECONDS


async def test_blocking_again_and_again_is_told_once_a_second(log: list[Any]) -> None:
    watch = LoopWatch(BLOCKED_AFTER_SECONDS)
    started = time.monotonic()
    with watch:
        for _ in range(4):
            await watch.watched(blocking)(delivery("a"))
            await asyncio.sleep(BLOCKED_AFTER_SECONDS)
    assert 1 <= len(log) <= 1 + (time.monotonic() - started)


async def test_a_loop_that_runs_is_not_accused(log: list[Any]) -> None:
    # A limit that a starved machine doesn't break.
    await run(LoopWatch(3 * BLOCKED_AFTER_SECONDS), *[("patient", patient)] * 20)
    assert log == []


async def test_without_a_limit_nothing_watches(log: list[Any]) -> None:
    with LoopWatch(0) as watch:
        assert not watch_threads()
        await watch.watched(blocking)(delivery("a"))
    assert log == []


async def test_the_watch_sleeps_while_no_handler_runs_and_wakes_for_the_next(log: list[Any]) -> None:
    deadline = Deadline(10)
    watch = LoopWatch(BLOCKED_AFTER_SECONDS)
    with watch:
        await deadline.until(lambda: watch.is_asleep, "a watch that sleeps")
        await watch.watched(blocking)(delivery("a"))
        await deadline.until(lambda: watch.is_asleep, "a watch that sleeps again")
        assert watch_threads()
    assert not watch_threads()
    assert len(log) == 1


async def test_a_task_that_a_handler_started_is_found_too(log: list[Any]) -> None:
    async def starts_a_task(_: Delivery) -> None:
        await asyncio.create_task(asyncio.wait_for(blocking(delivery("b")), 10))

    await run(LoopWatch(BLOCKED_AFTER_SECONDS), ("a", starts_a_task))
    (line,) = log
    assert "in compute" in line["stack"]
    assert "customer" not in line  # not known for a task that isn't the handler's own


@pytest.mark.parametrize("error", [SystemExit(2), KeyboardInterrupt()])
async def test_a_handler_that_wants_to_end_the_process_fails(error: BaseException) -> None:
    async def leaving(_: Delivery) -> None:
        raise error

    (outcome,) = await run(LoopWatch(0), ("a", leaving))
    assert isinstance(outcome, HandlerExit)


async def test_the_log_of_a_worker_process_names_it(workplace: Workplace, deadline: Deadline) -> None:
    options = ("--processes", "1", "--blocked-after", "0.2")
    with workplace.working("work_handlers:block", *options) as working:
        async with workplace.dispatcher() as dispatcher:
            (id_,) = await dispatcher.publish(Message("acme", b"1"))
            (line,) = await working.until_logged("the event loop is blocked", deadline)
            working.send(signal.SIGTERM)
            assert await working.ended(deadline) == 0
    assert (line["level"], line["process"]) == ("warning", 1)
    assert (line["customer"], line["message_id"]) == ("acme", id_)
    assert line["handler"] == "block"
    assert line["file"].endswith("work_handlers.py")
    assert "in busy_for" in line["stack"]
