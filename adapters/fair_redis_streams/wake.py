"""Lets receives wait for work without polling: one blocked connection serves all waiting receives."""

from __future__ import annotations

import asyncio
from collections import deque

from broker_core.errors import DispatcherError
from fair_redis_streams import keys
from fair_redis_streams.server import Server

# Tokens are hints, and one may get lost with its consumer: so often somebody looks without one.
SWEEP_SECONDS = 3.0


class WakeListener:
    """Wakes one waiting receive of this process for each token, and one every SWEEP_SECONDS without.

    The woken one looks; if there is more than it takes, the server leaves a token for the next.
    """

    def __init__(self, server: Server, namespace: str, shards: int, timeout_seconds: float) -> None:
        self._server = server
        self._timeout_seconds = SWEEP_SECONDS + timeout_seconds
        self._keys = [keys.wake(namespace, shard) for shard in range(shards)]
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._listening: asyncio.Task[None] | None = None

    async def wait(self, timeout_seconds: float) -> None:
        """Return when it's worth looking, after timeout_seconds at the latest.

        Raises BrokerUnavailable when the connection breaks.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen(), name="fair-dispatcher-wake")
        try:
            async with asyncio.timeout(timeout_seconds):
                await waiter
        except TimeoutError:
            return
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._wake_one()  # the hint was for us; somebody else has to follow it
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    async def close(self) -> None:
        """Stop listening. Idempotent."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    async def _listen(self) -> None:
        while self._waiters:
            try:
                token = await self._server.command(
                    "BLPOP", *self._keys, SWEEP_SECONDS, timeout_seconds=self._timeout_seconds
                )
            except DispatcherError as error:
                self._fail_all(error)
                return
            if not self._wake_one() and token:
                await self._hand_on(token[0])

    def _wake_one(self) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return True
        return False

    def _fail_all(self, error: DispatcherError) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error)

    async def _hand_on(self, key: bytes) -> None:
        try:
            await self._server.run("nudge", self._keys.index(key))
        except DispatcherError:
            return  # the other consumers look by themselves
