"""How a worker ends: gracefully, or at once."""

from __future__ import annotations

import asyncio
import time

import pytest

from broker_core import Backlog, Delivery, FairDispatcher, Worker, worker
from broker_core.adapter import Verb
from tests.unit.helpers import MortalAdapter, away, mortal, publish, until


class Scene:
    """Ten messages and a worker with room for three, whose handlers wait until they may go."""

    def __init__(self, *, lease_seconds: float = 30.0, grace_seconds: float = 10.0) -> None:
        self.dispatcher: FairDispatcher
        self.adapter: MortalAdapter
        self.dispatcher, self.adapter = mortal(lease_seconds=lease_seconds, max_attempts=1)
        self.worker = Worker(self.dispatcher, self.handle, concurrency=3, grace_seconds=grace_seconds)
        self.go = asyncio.Event()
        self.started: list[str] = []
        self.cancelled: list[str] = []

    async def handle(self, delivery: Delivery) -> None:
        self.started.append(delivery.id)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.append(delivery.id)
            raise

    async def run(self) -> asyncio.Task[None]:
        await self.dispatcher.open()
        await publish(self.dispatcher, 10)
        running = asyncio.create_task(self.worker.run())
        await until(lambda: len(self.started) == 3)
        assert await self.dispatcher.backlog() == Backlog(ready=4, leased=6)
        return running

    def released(self) -> int:
        return sum(
            len(receipts) for settlement, receipts in self.adapter.settled if settlement.verb is Verb.RELEASE
        )


async def test_what_runs_finishes_and_is_acked_and_nothing_new_starts() -> None:
    scene = Scene()
    running = await scene.run()
    scene.worker.stop()
    await until(lambda: scene.released() == 3)
    assert not running.done()
    scene.go.set()
    await running
    assert len(scene.started) == 3
    assert scene.cancelled == []
    # With max_attempts=1 this shows that no attempt was counted either.
    assert await scene.dispatcher.backlog() == Backlog(ready=7)
    assert [delivery.attempt for delivery in await scene.dispatcher.receive()] == [1] * 7
    await scene.dispatcher.close()


async def test_what_ends_together_with_the_stop_makes_no_room_for_more() -> None:
    scene = Scene()
    running = await scene.run()
    scene.worker.stop()
    scene.go.set()
    await running
    assert len(scene.started) == 3
    assert await scene.dispatcher.backlog() == Backlog(ready=7)
    await scene.dispatcher.close()


async def test_leases_are_renewed_until_the_last_handler_has_ended() -> None:
    scene = Scene(lease_seconds=0.15)
    running = await scene.run()
    scene.worker.stop()
    await until(lambda: scene.released() == 3)
    renewed = len(scene.adapter.sizes("extend"))
    await until(lambda: len(scene.adapter.sizes("extend")) >= renewed + 6)
    scene.go.set()
    await running
    assert scene.dispatcher.counts["ack"] == 3
    assert scene.dispatcher.counts["lost"] == 0
    await scene.dispatcher.close()


async def test_after_the_time_of_grace_the_rest_is_cancelled_and_given_back() -> None:
    scene = Scene(grace_seconds=0.1)
    running = await scene.run()
    scene.worker.stop()
    await running
    assert sorted(scene.cancelled) == sorted(scene.started)
    assert scene.dispatcher.counts["ack"] == 0
    assert await scene.dispatcher.backlog() == Backlog(ready=10)
    await scene.dispatcher.close()


async def test_cancelling_it_is_stopping_it_and_raises_in_the_end() -> None:
    scene = Scene()
    running = await scene.run()
    running.cancel()
    await until(lambda: scene.released() == 3)
    assert not running.done()
    scene.go.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert scene.cancelled == []
    assert await scene.dispatcher.backlog() == Backlog(ready=7)
    await scene.dispatcher.close()


async def test_cancelling_it_twice_ends_it_at_once() -> None:
    scene = Scene()
    running = await scene.run()
    running.cancel()
    await until(lambda: scene.released() == 3)
    running.cancel()
    started = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - started < 1
    assert sorted(scene.cancelled) == sorted(scene.started)
    # What it could not give back any more, closing gives back.
    await scene.dispatcher.close()
    assert scene.released() == 6


async def test_cancelling_after_stop_still_raises() -> None:
    scene = Scene()
    running = await scene.run()
    scene.worker.stop()
    await until(lambda: scene.released() == 3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(scene.cancelled) == sorted(scene.started)
    await scene.dispatcher.close()


async def test_a_handler_that_will_not_end_does_not_keep_it(caplog: pytest.LogCaptureFixture) -> None:
    dispatcher, _ = mortal()
    started, done = asyncio.Event(), asyncio.Event()

    async def handle(_: Delivery) -> None:
        started.set()
        while not done.is_set():
            try:
                await done.wait()
            except asyncio.CancelledError:
                continue

    async with dispatcher:
        await publish(dispatcher, 1)
        hindered = Worker(dispatcher, handle, grace_seconds=0)
        running = asyncio.create_task(hindered.run())
        await until(started.is_set)
        hindered.stop()
        async with asyncio.timeout(8):
            await running
        assert "1 tasks do not end" in caplog.text
        assert await dispatcher.backlog() == Backlog(ready=1)
        done.set()
        await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_stopping_while_the_broker_is_away_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_LAST_CALLS_SECONDS", 0.5)
    scene = Scene(grace_seconds=0.1)
    running = await scene.run()
    scene.adapter.trouble = away()
    scene.worker.stop()
    async with asyncio.timeout(10):
        await running
    scene.adapter.trouble = None
    await scene.dispatcher.close()
    assert scene.released() == 6


async def test_stopping_an_idle_worker_is_immediate() -> None:
    scene = Scene()
    await scene.dispatcher.open()
    running = asyncio.create_task(scene.worker.run())
    await until(lambda: bool(scene.adapter.sizes("receive")))
    scene.worker.stop()
    async with asyncio.timeout(1):
        await running
    await publish(scene.dispatcher, 1)
    assert len(await scene.dispatcher.receive()) == 1
    await scene.dispatcher.close()


async def test_a_worker_that_was_stopped_before_does_nothing() -> None:
    scene = Scene()
    async with scene.dispatcher:
        await publish(scene.dispatcher, 1)
        scene.worker.stop()
        await scene.worker.run()
        assert await scene.dispatcher.backlog() == Backlog(ready=1)


async def test_a_worker_runs_once() -> None:
    scene = Scene()
    async with scene.dispatcher:
        scene.worker.stop()
        await scene.worker.run()
        with pytest.raises(RuntimeError, match="runs once"):
            await scene.worker.run()
