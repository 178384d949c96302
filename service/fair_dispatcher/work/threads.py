"""Runs a handler that isn't async in threads."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from broker_core import Delivery
from fair_dispatcher.work.handlers import Function, call


class InThreads:
    """As many threads as handlers may run at a time, and never more.

    A thread can't be cancelled: one whose message is no longer ours runs on and keeps its place meanwhile.
    """

    def __init__(self, function: Function, concurrency: int) -> None:
        self._function = function
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="handler")
        self._running: set[str] = set()

    @property
    def busy(self) -> bool:
        """Whether a thread runs, for which the interpreter would wait at its end."""
        return bool(self._running)

    async def handle(self, delivery: Delivery) -> None:
        """Run the function for one delivery."""
        context = copy_context()
        await asyncio.get_running_loop().run_in_executor(self._pool, context.run, self._run, delivery)

    async def close(self) -> None:
        """Start nothing more; doesn't wait for what runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, delivery: Delivery) -> None:
        self._running.add(delivery.receipt)
        try:
            call(self._function, delivery)
        finally:
            self._running.discard(delivery.receipt)
