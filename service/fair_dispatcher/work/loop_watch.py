"""Notices when the event loop stands still, and tells whose code it stands in."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from traceback import FrameSummary
from types import FrameType, TracebackType
from typing import Self

import structlog

from broker_core import Delivery
from fair_dispatcher.logs import current_delivery
from fair_dispatcher.work.handlers import HandlerExit

_STEPS = 4  # per blocked_after_seconds: the probes begin, and the last part of a wait is one of them
_LEAST_SECONDS_BETWEEN_WARNINGS = 1.0
_MOST_FRAMES = 20
_STOP_SECONDS = 2.0

_log = structlog.stdlib.get_logger(__name__)


class LoopWatch:
    """Warns when the running event loop did nothing for blocked_after_seconds (0: never warns).

    Entered and left in the loop that it watches; `watched` makes the handler that it knows. A thread asks
    the loop for a sign of life while handlers run, and sleeps while none does. A standstill is noticed after
    1.25 × blocked_after_seconds at the latest, and told once a second at most.
    """

    def __init__(self, blocked_after_seconds: float) -> None:
        self._blocked_after_seconds = blocked_after_seconds
        self._running: dict[asyncio.Task[object] | None, Delivery] = {}
        self._asleep = False
        self._wake = threading.Event()
        self._alive = threading.Event()
        self._ended = threading.Event()
        self._next_warning = 0.0
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._blocked_after_seconds:
            self._thread = threading.Thread(
                target=self._watch,
                args=(asyncio.get_running_loop(), threading.get_ident()),
                name="loop-watch",
                daemon=True,
            )
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._wake.set()
        self._alive.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def watched(
        self, handler: Callable[[Delivery], Awaitable[object]]
    ) -> Callable[[Delivery], Awaitable[None]]:
        """Return the handler so that its standstills and its log lines name customer and message.

        A handler that wants to end the process fails instead.
        """
        running = self._running

        async def handle(delivery: Delivery) -> None:
            task = asyncio.current_task()
            running[task] = delivery
            if self._asleep:
                self._wake.set()
            current_delivery.set(delivery)
            try:
                await handler(delivery)
            except (SystemExit, KeyboardInterrupt) as error:
                raise HandlerExit(f"{type(error).__name__}: {error}") from error
            finally:
                del running[task]

        return handle

    @property
    def is_asleep(self) -> bool:
        """Whether its thread waits for a handler."""
        return self._asleep

    # The thread.

    def _watch(self, loop: asyncio.AbstractEventLoop, thread_id: int) -> None:
        step = self._blocked_after_seconds / _STEPS
        while not self._ended.is_set():
            if not self._running:
                self._sleep()
                continue
            if not self._probe(loop, step):
                self._outlast(loop, thread_id, step)
            self._ended.wait(step)

    def _sleep(self) -> None:
        self._wake.clear()
        self._asleep = True
        if not self._running and not self._ended.is_set():  # a handler may have begun before it could see us
            self._wake.wait()
        self._asleep = False

    def _probe(self, loop: asyncio.AbstractEventLoop, step: float) -> bool:
        self._alive.clear()
        try:
            loop.call_soon_threadsafe(self._alive.set)
        except RuntimeError:  # it is closed
            self._ended.set()
            return True
        # In two parts: a whole process that stood still (suspended, starved) finds the first part over when
        # it goes on, but its loop then has the time of the second to show itself.
        return self._alive.wait(step * (_STEPS - 1)) or self._alive.wait(step)

    def _outlast(self, loop: asyncio.AbstractEventLoop, thread_id: int, step: float) -> None:
        since = time.monotonic() - self._blocked_after_seconds
        while True:
            now = time.monotonic()
            if now >= self._next_warning:
                self._warn(loop, thread_id, now - since)
                self._next_warning = now + max(_LEAST_SECONDS_BETWEEN_WARNINGS, now - since)
            if self._alive.wait(step):
                return

    def _warn(self, loop: asyncio.AbstractEventLoop, thread_id: int, seconds: float) -> None:
        frame = sys._current_frames().get(thread_id)  # noqa: SLF001 - documented for this purpose
        task = asyncio.current_task(loop)
        delivery = self._running.get(task)
        frames = _beyond_ours(frame)
        about: dict[str, object] = {}
        if frames:
            about |= {"handler": frames[0].name, "file": frames[0].filename, "line": frames[0].lineno}
            about["stack"] = "".join(traceback.format_list(frames)).rstrip()
        if delivery is not None:
            about |= {"customer": delivery.customer, "message_id": delivery.id}
        _log.warning("the event loop is blocked", seconds=round(seconds, 2), **about)


def _beyond_ours(frame: FrameType | None) -> list[FrameSummary]:
    """Return the frames of the handler, outermost first; all of the last ones if it stands elsewhere."""
    frames: list[FrameSummary] = list(traceback.extract_stack(frame)) if frame is not None else []
    for place in reversed(range(len(frames))):
        if frames[place].filename == __file__:
            return frames[place + 1 :][-_MOST_FRAMES:] or frames[-1:]
    return frames[-_MOST_FRAMES:]
