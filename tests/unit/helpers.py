"""What several tests share: dispatchers over memory, a broker that goes away, waiting with a deadline."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from broker_core import Delivery, FairDispatcher, Message, Worker
from broker_core.adapter import Settlement, Verb
from broker_core.errors import BrokerUnavailable, DispatcherError
from broker_core.worker import Handler
from fair_memory.adapter import MemoryAdapter
from fair_memory.settings import MemorySettings

DEADLINE_SECONDS = 10.0

_names = itertools.count()


def memory_settings(**settings: Any) -> MemorySettings:
    return MemorySettings.load(namespace=f"unit-{next(_names)}", **settings)


class MortalAdapter(MemoryAdapter):
    """A memory adapter whose broker can be taken away: `trouble` is raised by every call that it concerns."""

    def __init__(self, settings: MemorySettings, client: Any = None) -> None:
        super().__init__(settings, client)
        self.trouble: DispatcherError | None = None
        self.concerns: set[str] = {"publish", "receive", "settle", "extend"}
        self.calls: list[tuple[str, int]] = []
        self.settled: list[tuple[Settlement, list[str]]] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def _call(self, name: str, size: int) -> None:
        self.calls.append((name, size))
        if name in self.concerns:
            await self.hold.wait()
            if self.trouble is not None:
                raise self.trouble

    async def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:
        await self._call("receive", max_messages)
        return await super().receive(max_messages, wait_seconds)

    async def settle(self, receipts: Sequence[str], settlement: Settlement) -> list[str]:
        await self._call("settle", len(receipts))
        self.settled.append((settlement, list(receipts)))
        return await super().settle(receipts, settlement)

    async def extend(self, receipts: Sequence[str], seconds: float) -> list[datetime | None]:
        await self._call("extend", len(receipts))
        return await super().extend(receipts, seconds)

    def sizes(self, name: str) -> list[int]:
        return [size for called, size in self.calls if called == name]

    def verbs(self) -> list[Verb]:
        return [settlement.verb for settlement, _ in self.settled]


def mortal(**settings: Any) -> tuple[FairDispatcher, MortalAdapter]:
    loaded = memory_settings(**settings)
    adapter = MortalAdapter(loaded)
    return FairDispatcher(adapter, loaded), adapter


def away() -> BrokerUnavailable:
    return BrokerUnavailable("nobody answers")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.002)


async def publish(dispatcher: FairDispatcher, count: int, customer: str = "acme") -> list[str]:
    return await dispatcher.publish([Message(customer, b"%d" % number) for number in range(count)])


@asynccontextmanager
async def working(
    dispatcher: FairDispatcher, handler: Handler, **options: Any
) -> AsyncIterator[tuple[Worker, asyncio.Task[None]]]:
    """Run a worker; in the end it is stopped, and must leave no task behind."""
    others = asyncio.all_tasks()
    worker = Worker(dispatcher, handler, **options)
    running = asyncio.create_task(worker.run())
    try:
        yield worker, running
        worker.stop()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await running
    finally:
        running.cancel()
        await asyncio.wait({running})
    await until(lambda: not asyncio.all_tasks() - others - {asyncio.current_task()})
