"""Consumers of the demo, wherever they run: each with a dispatcher and a Worker of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from broker_core import Delivery, FairDispatcher, Worker, open_dispatcher
from fair_dispatcher.demo.handover import HandOver

Book = Callable[[HandOver], None]


@dataclass(frozen=True, slots=True)
class Access:
    """How the demo and its consumers reach the broker; broker, url, dedup_window as in open_dispatcher."""

    broker: str
    url: str | None = field(default=None, repr=False)
    dedup_window: float = 30.0

    def dispatcher(self, namespace: str) -> FairDispatcher:
        """Make a dispatcher, not opened yet. Raises ConfigurationError."""
        return open_dispatcher(self.broker, self.url, namespace=namespace, dedup_window=self.dedup_window)


@dataclass(frozen=True, slots=True)
class Work:
    """What each consumer does: `concurrency` handlers at a time, of handler_seconds each."""

    concurrency: int
    handler_seconds: float

    def worker(self, dispatcher: FairDispatcher, book: Book) -> Worker:
        """Make a Worker whose handler books its start and then takes its time."""

        async def handle(delivery: Delivery) -> None:
            book(HandOver.of(delivery))
            await asyncio.sleep(self.handler_seconds)

        return Worker(dispatcher, handle, concurrency=self.concurrency)


class Consumers(Protocol):
    """Several consumers that work side by side. where: in words, after “each”."""

    where: str

    def working(self, namespace: str, book: Book) -> AbstractAsyncContextManager[None]:
        """Let them work in the body; then what they hold is acked, and all of it booked.

        Raises, in the body too, the DispatcherError of a consumer that can't go on, maybe in a group.
        Leaving the body by an error ends them at once.
        """
        ...


class LocalConsumers:
    """Consumers in this process, for a broker that lives in it."""

    where = "in this process, which no other shares its broker with,"

    def __init__(self, number: int, access: Access, work: Work) -> None:
        self._number = number
        self._access = access
        self._work = work

    @asynccontextmanager
    async def working(self, namespace: str, book: Book) -> AsyncIterator[None]:
        """See Consumers."""
        async with AsyncExitStack() as stack:
            dispatchers = [
                await stack.enter_async_context(self._access.dispatcher(namespace))
                for _ in range(self._number)
            ]
            workers = [self._work.worker(dispatcher, book) for dispatcher in dispatchers]
            async with asyncio.TaskGroup() as group:
                for worker in workers:
                    group.create_task(worker.run())
                yield
                for worker in workers:
                    worker.stop()
