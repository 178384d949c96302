"""Runs a handler over deliveries: many at a time, leases renewed, acks batched, a graceful end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from broker_core.dispatcher import FairDispatcher
from broker_core.model import Delivery

Handler = Callable[[Delivery], Awaitable[None]]


class Retry(Exception):
    """Raised by a handler: deliver again after `delay` seconds (None: the usual backoff)."""

    def __init__(self, delay: float | None = None, reason: str = "") -> None:
        super().__init__(reason)
        self.delay = delay
        self.reason = reason


class Reject(Exception):
    """Raised by a handler: never deliver this message again; it becomes a dead letter with this reason."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class Worker:
    """Placeholder for the first commit."""

    def __init__(self, dispatcher: FairDispatcher, handler: Handler, *, concurrency: int = 64) -> None:
        self._dispatcher = dispatcher
