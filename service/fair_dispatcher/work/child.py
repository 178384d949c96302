"""A worker process as its supervisor sees it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from typing import Self

import structlog

from broker_core.errors import BrokerUnavailable, ConfigurationError, DispatcherError
from fair_dispatcher.work.options import RunOptions
from fair_dispatcher.work.spawning import Spawned, spawn

END_NOW = b"end now\n"

_LAST_LINES_SECONDS = 1.0


class Child:
    """One process: ready when it takes messages, ended when it is gone.

    failure: why there is no use in starting it again as it is. retired: told to end.
    """

    def __init__(self, number: int, spawned: Spawned) -> None:
        self.number = number
        self.pid = spawned.process.pid
        self.failure: DispatcherError | None = None
        self.retired = False
        self._spawned = spawned
        self._log = structlog.stdlib.get_logger(__name__).bind(process=number, pid=self.pid)
        self._ready_at: float | None = None
        self._told = asyncio.Event()
        self._ending = asyncio.ensure_future(self._run())

    @classmethod
    async def start(cls, number: int, options: RunOptions) -> Self:
        """Start it; it isn't ready yet."""
        return cls(number, await spawn(options.module, number, options))

    @property
    def is_alive(self) -> bool:
        """Whether it isn't gone yet."""
        return not self._ending.done()

    @property
    def is_ready(self) -> bool:
        """Whether it has told that it takes messages, and isn't gone yet."""
        return self._ready_at is not None and self.is_alive

    @property
    def ready_seconds(self) -> float:
        """For how long it has been ready."""
        return 0.0 if self._ready_at is None else time.monotonic() - self._ready_at

    async def becomes_ready(self) -> bool:
        """Wait until it is ready; False if it ends instead."""
        await self._told.wait()
        return self.is_ready

    async def ended(self) -> int:
        """Wait until it is gone and return its exit code, −n for signal n. Cancelling that is harmless."""
        return await asyncio.shield(self._ending)

    async def was_graceful(self) -> bool:
        """Wait until it is gone; True if it held nothing then."""
        return await self.ended() == 0 or self._ready_at is None

    def drain(self) -> None:
        """Let it take no more messages, finish what runs, give back the rest and end."""
        self.retired = True
        with contextlib.suppress(ProcessLookupError):
            self._spawned.process.terminate()

    def end_now(self) -> None:
        """Let it give back everything and end."""
        self.drain()
        self._spawned.writer.write(END_NOW)

    def kill(self) -> None:
        """End it without its help."""
        self.retired = True
        with contextlib.suppress(ProcessLookupError):
            self._spawned.process.kill()

    async def _run(self) -> int:
        listening = asyncio.ensure_future(self._listen())
        try:
            code = await self._spawned.process.wait()
            await asyncio.wait({listening}, timeout=_LAST_LINES_SECONDS)
        finally:
            listening.cancel()
            self._spawned.writer.close()
            self._told.set()
        self._log_end(code)
        return code

    def _log_end(self, code: int) -> None:
        outcome = {"signal": signal.Signals(-code).name} if code < 0 else {"exit_code": code}
        if not self.retired and self.failure is None:
            self._log.error("worker process ended by itself", **outcome)
        elif self._ready_at is not None:
            self._log.info("worker process ended", **outcome)

    async def _listen(self) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await self._spawned.reader.readline():
                told = json.loads(line)
                if told["event"] == "ready":
                    self._ready_at = time.monotonic()
                    self._log.info("worker process ready")
                    self._told.set()
                else:
                    self.failure = _failure(told)


def _failure(told: dict[str, str]) -> DispatcherError:
    if told["event"] == "misconfigured":
        return ConfigurationError(told["reason"])
    return BrokerUnavailable(told["reason"], retryable=False)
