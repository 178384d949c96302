"""Runs a handler over deliveries: many at a time, leases renewed, acks batched, a graceful end."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from time import monotonic
from typing import Any

from broker_core import checks
from broker_core.dispatcher import FairDispatcher
from broker_core.errors import DispatcherError, InvalidArgument
from broker_core.handling import Reject, Retry, settlement_for
from broker_core.keeping import Held, LeaseKeeper
from broker_core.model import Delivery
from broker_core.outage import Outage
from broker_core.settling import ACK, RELEASE, Settling

Handler = Callable[[Delivery], Awaitable[None]]

__all__ = ["Handler", "Reject", "Retry", "Worker"]

_log = logging.getLogger(__name__)

_LONGEST_WAIT_SECONDS = 5.0
_MOST_AT_ONCE = 10_000
# Half the calls at 5,000 messages a second in tens, for 2 ms of waiting.
_GATHER_SECONDS = 0.003
_CANCEL_SECONDS = 1.0
_LAST_CALLS_SECONDS = 5.0


class Worker:
    """Runs `handler` for each delivery, up to `concurrency` (1–10,000) at a time, until it is stopped.

    A handler that returns acks its message. Raising Retry gives it back, Reject makes it a dead letter,
    any other exception gives it back after an exponential backoff (settings backoff_…); used-up attempts
    make it a dead letter. Leases are renewed while messages are held, 2 × concurrency at most. A handler
    whose lease is lost is cancelled, and its message is left to its new owner.
    While the broker is away the worker waits for it.

    handler: an async function of a delivery, or whatever returns something to await when it is called with
    one. InvalidArgument is raised for what can be seen to be no such thing. Whether a plain function is one
    shows only when it is called: if it isn't, the worker ends at its first message and gives back all.
    """

    def __init__(
        self,
        dispatcher: FairDispatcher,
        handler: Handler,
        *,
        concurrency: int = 64,
        grace_seconds: float = 30.0,
    ) -> None:
        self._dispatcher = dispatcher
        self._handler = checks.handler(handler)
        self._unfit: InvalidArgument | None = None
        self._concurrency = checks.whole_number("concurrency", concurrency, 1, 10_000)
        self._grace_seconds = checks.seconds("grace_seconds", grace_seconds, 0, 86400)
        self._buffer: deque[Held] = deque()
        self._handling: dict[asyncio.Task[None], Held] = {}
        self._changed = asyncio.Event()
        self._stop = asyncio.Event()
        self._draining = False
        self._used = False
        self._outage = Outage(_log)
        self._keeper = LeaseKeeper(dispatcher, self._outage, self._lose_lease)
        self._settling = Settling(dispatcher, self._outage, _log, self._changed.set)

    def stop(self) -> None:
        """Let `run` end: nothing new starts, what runs has grace_seconds left, the rest is given back."""
        self._draining = True
        self._stop.set()

    async def run(self) -> None:
        """Work until stop() or until cancelled, then end gracefully; cancelled once more it ends at once.

        Raises what calling the broker again can't mend: BrokerUnavailable that isn't retryable, Closed;
        InvalidArgument when the handler returned nothing to await. A worker runs once.
        """
        if self._used:
            raise RuntimeError("a worker runs once: make a new one")
        self._used = True
        if self._stop.is_set():
            return
        fetching = asyncio.create_task(self._fetch())
        serving = {asyncio.create_task(self._settling.run()), asyncio.create_task(self._keeper.run())}
        try:
            await self._serve(fetching, serving)
        finally:
            self._draining = True
            for held in self._handling.values():
                held.dropped = True
            await _end({fetching, *serving, *self._handling})
        if self._unfit is not None:
            raise self._unfit

    async def _serve(self, fetching: asyncio.Task[None], serving: set[asyncio.Task[None]]) -> None:
        try:
            await _until(self._stop.wait(), {fetching, *serving})
        except asyncio.CancelledError:
            try:
                await self._drain(fetching, serving)
            except DispatcherError:
                _log.exception("the worker could not end gracefully")
            raise
        await self._drain(fetching, serving)

    async def _drain(self, fetching: asyncio.Task[None], serving: set[asyncio.Task[None]]) -> None:
        self._draining = True
        await _end({fetching})
        self._give_back(self._buffer)
        self._buffer.clear()
        await _until(self._change_to(lambda: not self._handling), serving, self._grace_seconds)
        late = [held for held in self._handling.values() if not held.dropped]
        for held in late:
            self._drop(held)
        await _until(self._change_to(lambda: not self._handling), serving, _CANCEL_SECONDS)
        self._give_back(late)
        await _until(self._change_to(lambda: not self._settling.pending), serving, _LAST_CALLS_SECONDS)

    def _give_back(self, deliveries: Iterable[Held]) -> None:
        for held in deliveries:
            self._keeper.let_go(held)
            self._settling.add(RELEASE, held.delivery.receipt)

    # Fetching.

    async def _fetch(self) -> None:
        while True:
            await self._change_to(self._wants_more)
            wanted, deliveries = await self._outage.outlast(self._receive)
            self._start(deliveries)
            if len(deliveries) < wanted:
                # Nothing more is ready. Under a steady load what comes meanwhile is fetched in one call.
                await asyncio.sleep(_GATHER_SECONDS)

    def _free(self) -> int:
        return 2 * self._concurrency - len(self._buffer) - len(self._handling) - self._settling.pending

    def _wants_more(self) -> bool:
        free = self._free()
        return free > 0 and (not self._buffer or 2 * free >= self._concurrency)

    async def _receive(self) -> tuple[int, list[Held]]:
        """Return how many were asked for, and those that came."""
        requested_at = monotonic()
        wait = min(_LONGEST_WAIT_SECONDS, self._keeper.longest_wait_seconds)
        wanted = min(self._free(), _MOST_AT_ONCE)
        deliveries = await self._dispatcher.receive(wanted, wait)
        return wanted, self._keeper.hold(deliveries, requested_at)

    # Handling.

    def _start(self, fresh: Iterable[Held]) -> None:
        buffer, handling = self._buffer, self._handling
        buffer.extend(fresh)
        while buffer and len(handling) < self._concurrency and not self._draining:
            held = buffer.popleft()
            held.task = task = asyncio.create_task(self._handle(held))
            handling[task] = held
            task.add_done_callback(self._handled)

    async def _handle(self, held: Held) -> None:
        settlement = ACK
        try:
            await self._begin(held.delivery)
        except asyncio.CancelledError as error:
            if held.dropped:
                raise
            # Not our doing: the handler was cancelled from within, which is a failure like any other.
            settlement = settlement_for(error, held.delivery, self._dispatcher.settings)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is the fate of its message
            if error is self._unfit:
                settlement = RELEASE
            else:
                settlement = settlement_for(error, held.delivery, self._dispatcher.settings)
        if not held.dropped:
            self._keeper.let_go(held)
            self._settling.add(settlement, held.delivery.receipt)

    def _begin(self, delivery: Delivery) -> Awaitable[None]:
        """Call the handler; once it has returned nothing to await, raise that instead and stop."""
        if self._unfit is None:
            begun: object = self._handler(delivery)
            if inspect.isawaitable(begun):
                return begun
            self._unfit = checks.unfit_handler(f"one that returns {type(begun).__name__}")
            self.stop()
        raise self._unfit

    def _handled(self, task: asyncio.Task[None]) -> None:
        del self._handling[task]
        self._start(())
        if not self._buffer:
            self._changed.set()

    def _lose_lease(self, held: Held) -> None:
        _log.warning(
            "the lease of message %s of customer %r is lost: it is left to its new owner",
            held.delivery.id,
            held.delivery.customer,
        )
        if held.task is None:
            self._buffer.remove(held)
            self._changed.set()
        else:
            self._drop(held)

    def _drop(self, held: Held) -> None:
        held.dropped = True
        if held.task is not None:
            held.task.cancel()

    async def _change_to(self, wanted: Callable[[], bool]) -> None:
        while not wanted():
            self._changed.clear()
            await self._changed.wait()


async def _until(
    condition: Coroutine[Any, Any, object], serving: set[asyncio.Task[None]], seconds: float | None = None
) -> None:
    """Wait for the condition, `seconds` at most; raise what ended one of the tasks that serve for ever."""
    waiting = asyncio.ensure_future(condition)
    try:
        done, _ = await asyncio.wait(
            {waiting, *serving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        await _end({waiting})
    for task in done - {waiting}:
        task.result()


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel the tasks and wait a moment for them; their outcome doesn't matter any more."""
    for task in tasks:
        task.cancel()
    done, late = await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)
    for task in done:
        if not task.cancelled():
            task.exception()
    if late:
        _log.error("%d tasks do not end though they were cancelled", len(late))
