"""The demo's consumers are processes of their own, which end with it however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from broker_core import Message
from broker_core.errors import DispatcherError
from fair_dispatcher.demo import processes
from fair_dispatcher.demo.consumers import Access, Work
from fair_dispatcher.demo.errors import first_error
from fair_dispatcher.demo.handover import HandOver
from fair_dispatcher.demo.processes import ConsumerFailed, ProcessConsumers
from tests.servers.redis_local import LocalRedis

WORK = Work(concurrency=4, handler_seconds=0.001)


@pytest.fixture
def access(redis7: LocalRedis) -> Access:
    return Access("redis", redis7.url)


@pytest.fixture
def namespace() -> str:
    return f"t-{os.urandom(4).hex()}"


async def test_each_works_in_a_process_of_its_own_and_all_is_booked(access: Access, namespace: str) -> None:
    booked: list[HandOver] = []
    complete = asyncio.Event()

    def book(told: HandOver) -> None:
        booked.append(told)
        if len(booked) == 200:
            complete.set()

    async with (
        access.dispatcher(namespace) as producer,
        ProcessConsumers.started(3, access, WORK) as consumers,
    ):
        assert len({*consumers.pids, os.getpid()}) == 4
        for run in ("first", "second"):
            begin = time.monotonic()
            messages = [
                Message(f"customer-{index % 7}", headers={"demo-run": run, "demo-index": str(index)})
                for index in range(200)
            ]
            async with consumers.working(namespace, book):
                await producer.publish(messages)
                await asyncio.wait_for(complete.wait(), 60)
            assert sorted(told[:2] for told in booked) == [(run, index) for index in range(200)]
            assert all(begin < told.at < time.monotonic() for told in booked)
            assert (await producer.backlog()).leased == 0
            booked.clear()
            complete.clear()


async def test_they_tell_whether_they_see_what_is_published_here(access: Access, namespace: str) -> None:
    async with (
        access.dispatcher(namespace) as producer,
        ProcessConsumers.started(2, access, WORK) as consumers,
    ):
        assert not await consumers.see_messages(namespace)
        await producer.publish(Message("acme"))
        assert await consumers.see_messages(namespace)
    async with ProcessConsumers.started(1, Access("memory"), WORK) as consumers:
        assert not await consumers.see_messages(namespace)


async def test_one_that_is_killed_ends_the_run(access: Access, namespace: str) -> None:
    async with ProcessConsumers.started(2, access, WORK) as consumers:
        with pytest.raises(ConsumerFailed, match="ended with exit code -9") as raised:
            await work_until(consumers, namespace, lambda: os.kill(consumers.pids[0], signal.SIGKILL))
        assert not raised.value.retryable
        assert not any(map(runs, consumers.pids))


async def test_one_that_can_not_reach_the_broker_says_why(namespace: str) -> None:
    nowhere = Access("redis", "redis://127.0.0.1:1/0")
    async with ProcessConsumers.started(2, nowhere, WORK) as consumers:
        with pytest.raises(DispatcherError, match="reached") as raised:
            await work_until(consumers, namespace, lambda: pytest.fail("it can't work"))
        assert raised.value.retryable


async def test_one_that_hangs_is_given_up(
    access: Access, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_ANSWER_SECONDS", 5.0)
    async with ProcessConsumers.started(2, access, WORK) as consumers:
        with pytest.raises(ConsumerFailed, match="no answer"):
            async with consumers.working(namespace, lambda _: None):
                os.kill(consumers.pids[1], signal.SIGSTOP)
        assert not any(map(runs, consumers.pids))


async def test_an_error_in_the_body_ends_them(access: Access, namespace: str) -> None:
    async with ProcessConsumers.started(2, access, WORK) as consumers:
        with pytest.raises(ZeroDivisionError):
            await work_until(consumers, namespace, lambda: 1 // 0)
        assert not any(map(runs, consumers.pids))


def test_passwords_are_in_no_list_of_processes(redis7: LocalRedis) -> None:
    access = Access("redis", f"redis://somebody:secret@127.0.0.1:{redis7.port}/0")
    assert "secret" not in repr(access)
    assert "secret" not in repr(replace(access, broker="other"))


def test_they_end_with_a_demo_that_is_killed(tmp_path: Path) -> None:
    """Whoever still runs holds the other end of this pipe."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "fair_dispatcher", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name not in {"BROKER", "REDIS_URL"}}
        | {"TMPDIR": str(tmp_path)},
        text=True,
    )
    assert demo.stdout is not None
    deadline = time.monotonic() + 60
    while "handed over" not in demo.stdout.readline():
        assert time.monotonic() < deadline
    demo.kill()
    _, errors = demo.communicate(timeout=30)
    assert errors == ""


async def work_until(consumers: ProcessConsumers, namespace: str, incident: Callable[[], object]) -> None:
    with first_error():
        async with consumers.working(namespace, lambda _: None):
            incident()
            await asyncio.sleep(60)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
