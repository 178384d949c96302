"""`fairdispatch work` from its start to its end: signals, exit codes, nothing left behind."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from broker_core import Message
from broker_core.conformance.consuming import assert_backlog
from broker_core.conformance.polling import Deadline
from tests.service.command_line import PROGRAM
from tests.service.work_run import Workplace

SLOW = "work_handlers:slow"
# Runs a command in a terminal of its own, which is there as long as this program is.
IN_TERMINAL = """
import os, pty, signal, sys, time
signal.signal(signal.SIGHUP, signal.{hang_up})
standard_error = os.dup(2)
pid, terminal = pty.fork()
if pid == 0:
    os.dup2(standard_error, 2)
    os.execv(sys.argv[1], sys.argv[1:])
os.write(2, b"process %d\\n" % pid)
time.sleep(600)
"""


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_sigterm_lets_what_runs_finish_and_gives_back_the_rest(
    workplace: Workplace, deadline: Deadline
) -> None:
    with workplace.working(SLOW, "--processes", "2", "--concurrency", "2") as run:
        async with workplace.dispatcher() as dispatcher:
            await run.until_ready(2, deadline)
            ids = await dispatcher.publish([Message("1") for _ in range(30)])
            await run.until_noted(4, deadline, "begun")
            run.send(signal.SIGTERM)
            assert await run.ended(deadline) == 0
            begun, handled = run.records("begun"), run.records()
            assert {line["id"] for line in handled} == {line["id"] for line in begun}
            assert 4 <= len(handled) < 30
            await assert_backlog(dispatcher, ready=30 - len(handled))
            rest = await dispatcher.receive(30)
            assert {delivery.id for delivery in rest} == set(ids) - {line["id"] for line in handled}
            assert {delivery.attempt for delivery in rest} == {1}
    assert {line["process"] for line in run.events("worker process ended")} == {1, 2}
    assert all(gone(pid) for pid in run.ready_pids())
    assert run.texts == []


async def test_ctrl_c_ends_gracefully_and_handlers_that_take_too_long_are_cancelled(
    workplace: Workplace, deadline: Deadline
) -> None:
    with workplace.working(SLOW, "--processes", "1", "--grace-seconds", "0.2") as run:
        async with workplace.dispatcher() as dispatcher:
            await dispatcher.publish([Message("600"), Message("600.0")])
            await run.until_noted(2, deadline, "begun")
            run.send(signal.SIGINT)
            assert await run.ended(deadline) == 0
            await assert_backlog(dispatcher, ready=2)


@pytest.mark.parametrize(("second", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_second_signal_ends_at_once_and_still_gives_everything_back(
    workplace: Workplace, deadline: Deadline, second: signal.Signals, code: int
) -> None:
    with workplace.working(SLOW, "--processes", "1", "--concurrency", "1") as run:
        async with workplace.dispatcher() as dispatcher:
            await dispatcher.publish([Message("600") for _ in range(3)])
            await run.until_noted(1, deadline, "begun")
            run.send(signal.SIGTERM)
            await run.until_logged("ending gracefully", deadline)
            run.send(second)
            assert await run.ended(deadline) == code
            await assert_backlog(dispatcher, ready=3)


async def test_a_killed_supervisor_takes_its_processes_along(
    workplace: Workplace, deadline: Deadline
) -> None:
    options = ("--processes", "2", "--sync", "process")
    with workplace.working("work_handlers:slow_sync", *options) as run:
        async with workplace.dispatcher() as dispatcher:
            pids = await run.until_ready(2, deadline)
            await dispatcher.publish([Message("a", b"600") for _ in range(10)])
            begun = await run.until_noted(2, deadline, "begun")
        run.process.kill()
        everyone = {*pids, *(line["pid"] for line in begun)}
        assert len(everyone) == 4
        await deadline.until(lambda: all(gone(pid) for pid in everyone), "the end of all processes")


@pytest.mark.parametrize(("hang_up", "ends"), [("SIG_DFL", True), ("SIG_IGN", False)])
async def test_it_ends_with_its_terminal_unless_that_is_to_be_outlived(
    workplace: Workplace, deadline: Deadline, hang_up: str, ends: bool
) -> None:
    program = (sys.executable, "-c", IN_TERMINAL.format(hang_up=hang_up), *PROGRAM)
    with workplace.working(SLOW, "--processes", "1", "--log-format", "json", program=program) as run:
        await run.until_ready(1, deadline)
        supervisor = int(run.texts[0].split()[1])
        run.other_pids.append(supervisor)
        run.process.kill()  # and with it the terminal
        if not ends:
            await run.until_logged("all worker processes are new", deadline)
            os.kill(supervisor, signal.SIGTERM)
        (line,) = await run.until_logged("ending gracefully", deadline)
        assert line["signal"] == ("SIGHUP" if ends else "SIGTERM")
    assert all(gone(pid) for pid in run.ready_pids())


async def test_it_waits_for_a_broker_that_is_away_and_can_be_ended_meanwhile(
    workplace: Workplace, deadline: Deadline
) -> None:
    with workplace.working(SLOW, "--processes", "1", "--url", "redis://127.0.0.1:1/0") as run:
        (line,) = await run.until_logged("the broker does not answer", deadline)
        assert line["level"] == "warning"
        run.send(signal.SIGTERM)
        assert await run.ended(deadline) == 0


@pytest.mark.parametrize(
    ("handler", "options", "code", "problem"),
    [
        ("absent:handle", (), 2, "--handler absent:handle can't be imported: ModuleNotFoundError: No module"),
        ("work_handlers:record", ("--sync", "thread"), 2, "--sync is for handlers that aren't async"),
        ("work_handlers:record", ("--namespace", "a b"), 2, "namespace is 'a b'"),
        ("work_handlers:record", ("--processes", "0"), 2, "--processes"),
        ("work_handlers:record", ("--blocked-after", "0.01"), 2, "--blocked-after"),
    ],
)
async def test_what_is_wrong_is_said_in_one_line(
    workplace: Workplace,
    deadline: Deadline,
    handler: str,
    options: tuple[str, ...],
    code: int,
    problem: str,
) -> None:
    with workplace.working(handler, *options) as run:
        assert await run.ended(deadline) == code
    (text,) = run.texts
    assert text.startswith("fairdispatch: ")
    assert problem in text
    assert run.lines == []


async def test_a_broker_that_refuses_us_ends_the_run_without_telling_the_password(
    workplace: Workplace, deadline: Deadline
) -> None:
    url = workplace.url.replace("://", "://nobody:wrong-secret@")
    with workplace.working(SLOW, "--processes", "2", environment={"REDIS_URL": url}) as run:
        assert await run.ended(deadline) == 1
    (text,) = run.texts
    assert text.startswith("fairdispatch: ")
    assert "wrong-secret" not in f"{run.texts}{run.lines}"
