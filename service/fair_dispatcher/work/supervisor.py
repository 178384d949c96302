"""Keeps the worker processes of a run, and passes signals on to them."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import structlog

from fair_dispatcher.work.crew import Crew
from fair_dispatcher.work.options import RunOptions
from fair_dispatcher.work.slot import Slot

EXIT_DONE = 0
EXIT_UNGRACEFUL = 1
EXIT_SIGNAL = 128

_log = structlog.stdlib.get_logger(__name__)


class Supervisor:
    """Runs once, in the main thread. SIGTERM and SIGINT end it, SIGHUP renews its processes one by one."""

    def __init__(self, options: RunOptions) -> None:
        self._crew = Crew(options)
        self._slots = [Slot(number, self._crew) for number in range(1, options.processes + 1)]
        self._stop = asyncio.Event()
        self._at_once = asyncio.Event()
        self._roll = asyncio.Event()
        self._second_signal = 0
        # Where SIGHUP is ignored somebody (nohup) wants the run to outlive its terminal.
        self._ends_with_terminal = _has_terminal() and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN

    async def run(self) -> int:
        """Work until a signal; return the exit code.

        0: every process ended gracefully. 1: some had to be killed, or failed at the end.
        128 + n: signal n was the second one, and cut the end short.
        Raises ConfigurationError, or BrokerUnavailable that isn't retryable, when no process can work.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        duties: set[asyncio.Task[Any]] = {asyncio.create_task(slot.keep()) for slot in self._slots}
        duties |= {asyncio.create_task(self._roll_when_told()), asyncio.create_task(self._stop.wait())}
        try:
            await asyncio.wait(duties, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for duty in duties:
                duty.cancel()
            outcomes = await asyncio.gather(*duties, return_exceptions=True)
            graceful = await self._crew.end(self._at_once)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        if self._second_signal:
            return EXIT_SIGNAL + self._second_signal
        return EXIT_DONE if graceful else EXIT_UNGRACEFUL

    def _end(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            _log.warning("ending at once", signal=number.name)
            self._second_signal = number
            self._at_once.set()
        else:
            _log.info("ending gracefully", signal=number.name)
            self._stop.set()

    def _hang_up(self) -> None:
        if self._ends_with_terminal and not _has_terminal():
            self._end(signal.SIGHUP)
        else:
            self._roll.set()

    async def _roll_when_told(self) -> None:
        while True:
            await self._roll.wait()
            self._roll.clear()
            _log.info("renewing the worker processes")
            if all([await slot.roll() for slot in self._slots]):
                _log.info("all worker processes are new")


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True
