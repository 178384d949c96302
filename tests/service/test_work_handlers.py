"""Handlers of every kind: how they are found, and where they run."""

from __future__ import annotations

import signal
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker_core import Delivery, Message
from broker_core.conformance.consuming import assert_backlog
from broker_core.conformance.polling import Deadline
from broker_core.errors import ConfigurationError
from fair_dispatcher.work import handlers
from tests.service.work_run import Line, Workplace

NOW = datetime.now(UTC)
DELIVERY = Delivery(Message("acme"), "1-0", 1, NOW, NOW, "receipt")


def most_at_once(run_records: list[Line], ends: list[Line]) -> int:
    """How many handlers ran at the same time at most."""
    steps = sorted([(line["time"], 1) for line in run_records] + [(line["time"], -1) for line in ends])
    running = most = 0
    for _, step in steps:
        running += step
        most = max(most, running)
    return most


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that can be imported, to be written."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    return tmp_path / f"handlers_of_{tmp_path.name}.py"


@pytest.mark.parametrize(
    ("code", "name", "problem"),
    [
        ("", "handle", "{module} has no handle"),
        ("", "Handler.handle", "{module} has no Handler.handle"),
        ("handle = 3", "handle", "is no function"),
        ("class Handle:\n def __init__(self, d): ...", "Handle", "is no function"),
        ("def handle(): ...", "handle", "has to take one argument, the delivery, but takes ()"),
        ("def handle(a, b): ...", "handle", "has to take one argument"),
        ("def handle(d): yield", "handle", "is a generator"),
        ("async def handle(d): yield", "handle", "is a generator"),
        ("\nx = 1 / 0", "handle", "ZeroDivisionError: division by zero ({file}, line 2)"),
        ("import sys\nsys.exit(4)", "handle", "SystemExit: 4 ({file}, line 2)"),
        ("def handle(:", "handle", "SyntaxError: invalid syntax"),
        ("import absent_package", "handle", "No module named 'absent_package' ({file}, line 1)"),
    ],
)
def test_what_gives_no_handler_is_explained(module: Path, code: str, name: str, problem: str) -> None:
    module.write_text(code)
    with pytest.raises(ConfigurationError) as caught:
        handlers.load(f"{module.stem}:{name}")
    assert problem.format(module=module.stem, file=module) in str(caught.value)
    assert f"--handler {module.stem}:{name}" in str(caught.value)


@pytest.mark.parametrize("name", ["", "module", "module:", ":function"])
def test_a_name_has_two_parts(name: str) -> None:
    with pytest.raises(ConfigurationError, match="has to be module:function"):
        handlers.load(name)


@pytest.mark.parametrize(
    ("code", "name", "is_async"),
    [
        ("async def handle(d): ...", "handle", True),
        ("def handle(d): ...", "handle", False),
        ("class A:\n async def handle(self, d): ...\na = A()", "a.handle", True),
        ("class A:\n async def __call__(self, d): ...\na = A()", "a", True),
        ("class A:\n def __call__(self, d): ...\na = A()", "a", False),
        ("import functools\nasync def f(x, d): ...\nh = functools.partial(f, 1)", "h", True),
        ("handle = lambda d: None", "handle", False),
        ("def handle(d, more=1): ...", "handle", False),
    ],
)
def test_handlers_of_all_kinds_are_found(module: Path, code: str, name: str, is_async: bool) -> None:
    module.write_text(code)
    assert handlers.is_async(handlers.load(f"{module.stem}:{name}")) is is_async


def test_a_function_that_only_begins_something_fails() -> None:
    async def forgotten(delivery: Delivery) -> None: ...

    def handle(delivery: Delivery) -> Awaitable[None]:
        return forgotten(delivery)

    with pytest.raises(TypeError, match="make it async def"):
        handlers.call(handle, DELIVERY)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), StopIteration()])
def test_a_function_fails_with_an_exception_only(error: BaseException) -> None:
    def handle(delivery: Delivery) -> None:
        raise error

    with pytest.raises(Exception, match=type(error).__name__):
        handlers.call(handle, DELIVERY)


async def test_a_function_runs_in_threads_as_many_as_allowed(
    workplace: Workplace, deadline: Deadline
) -> None:
    options = ("--processes", "1", "--concurrency", "3")
    with workplace.working("work_handlers:slow_sync", *options) as run:
        async with workplace.dispatcher() as dispatcher:
            await dispatcher.publish([Message("a", b"0.1") for _ in range(12)])
            handled = await run.until_noted(12, deadline)
            run.send(signal.SIGTERM)
            assert await run.ended(deadline) == 0
            await assert_backlog(dispatcher)
    assert {line["pid"] for line in handled} == set(run.ready_pids())
    assert len({line["thread"] for line in handled}) == 3
    assert most_at_once(run.records("begun"), handled) == 3


async def test_a_thread_that_never_ends_does_not_hold_up_the_end(
    workplace: Workplace, deadline: Deadline
) -> None:
    options = ("--processes", "1", "--grace-seconds", "0.1")
    with workplace.working("work_handlers:slow_sync", *options) as run:
        async with workplace.dispatcher() as dispatcher:
            await dispatcher.publish(Message("a", b"600"))
            await run.until_noted(1, deadline, "begun")
            run.send(signal.SIGTERM)
            assert await run.ended(deadline) == 0
            await assert_backlog(dispatcher, ready=1)


async def test_a_function_runs_in_processes_whose_crash_fails_one_message(
    workplace: Workplace, deadline: Deadline
) -> None:
    options = ("--processes", "1", "--concurrency", "2", "--sync", "process")
    environment = {"FAIRDISPATCH_MAX_ATTEMPTS": "2", "FAIRDISPATCH_BACKOFF_BASE": "0"}
    with workplace.working("work_handlers:by_customer", *options, environment=environment) as run:
        async with workplace.dispatcher() as dispatcher:
            kinds = ["crash", "retry", "reject", "fail", "exit", "fine"]
            await dispatcher.publish([Message(kind, b"secret-payload") for kind in kinds])

            async def settled() -> bool:
                backlog = await dispatcher.backlog()
                return (backlog.ready, backlog.leased, backlog.delayed) == (0, 0, 0)

            await deadline.until(settled, "the end of all messages")
            letters = {one.customer: one for one in await dispatcher.dead_letters()}
            run.send(signal.SIGTERM)
            assert await run.ended(deadline) == 0
    handled = {line["customer"]: line for line in run.records()}
    assert {customer: line["attempt"] for customer, line in handled.items()} == {"retry": 2, "fine": 1}
    reasons = {customer: letter.reason for customer, letter in letters.items()}
    assert reasons.keys() == {"crash", "reject", "fail", "exit"}
    assert "ended with 7" in reasons["crash"]
    assert reasons["reject"] == "bad number"
    assert reasons["fail"] == "ValueError: 14 bytes are too many"
    assert "SystemExit" in reasons["exit"]
    assert {letter.attempts for letter in letters.values()} == {1, 2}
    assert letters["reject"].attempts == 1
    assert {line["pid"] for line in run.records("begun")}.isdisjoint(run.ready_pids())
    assert "by_customer" in "".join(line["exception"] for line in run.events("the handler failed"))
    assert "secret-payload" not in f"{run.lines}{run.texts}"
