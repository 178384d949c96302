"""Whether the service can publish and receive, tried out in a namespace that nothing else uses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import structlog

from broker_core import FairDispatcher, Message
from broker_core.errors import DispatcherError
from fair_dispatcher.http.problems import problem_of

SUFFIX = ".health"
MOST_NAMESPACE_CHARACTERS = 64
CUSTOMER = "health"
FRESH_SECONDS = 5.0
PROBE_SECONDS = 3.0

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ability:
    """What came of the last try: "ok", or the name of a kind of problem, or what is told in wire.Health."""

    publish: str
    receive: str

    @property
    def ready(self) -> bool:
        """Whether both work."""
        return self.publish == self.receive == "ok"


def probed_namespace(namespace: str) -> str:
    """Return the namespace to try with: that of another service may be the same, and either goes on well."""
    return namespace[: MOST_NAMESPACE_CHARACTERS - len(SUFFIX)] + SUFFIX


class Health:
    """Tries at most every FRESH_SECONDS, and only when asked. make: the dispatcher to try with."""

    def __init__(self, make: Callable[[], FairDispatcher]) -> None:
        self._make = make
        self._dispatcher: FairDispatcher | None = None
        self._known: tuple[Ability, float] | None = None
        self._trying: asyncio.Task[Ability] | None = None
        self.ending = False

    async def ability(self) -> Ability:
        """Return what is known, not older than FRESH_SECONDS."""
        if self.ending:
            return Ability("ending", "ending")
        if self._known is not None and monotonic() - self._known[1] < FRESH_SECONDS:
            return self._known[0]
        if self._trying is None:
            self._trying = asyncio.create_task(self._try(), name="health")
            self._trying.add_done_callback(self._tried)
        return await asyncio.shield(self._trying)

    async def close(self) -> None:
        """Disconnect. Idempotent."""
        if self._trying is not None:
            self._trying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._trying
        await self._discard()

    def _tried(self, trying: asyncio.Task[Ability]) -> None:
        self._trying = None
        if not trying.cancelled() and trying.exception() is None:
            self._known = trying.result(), monotonic()

    async def _try(self) -> Ability:
        publish = receive = "timed-out"
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                try:
                    dispatcher = await self._open()
                    await dispatcher.publish(Message(CUSTOMER))
                    publish = "ok"
                except DispatcherError as error:
                    publish = _told("publish", error)
                    if self._dispatcher is None:
                        receive = publish
                        return Ability(publish, receive)
                receive = await self._try_receive(dispatcher, published=publish == "ok")
        except TimeoutError:
            _log.warning("the broker takes too long", publish=publish, receive=receive)
        if publish != "ok" or receive != "ok":
            await self._discard()  # the next try connects anew
        return Ability(publish, receive)

    async def _try_receive(self, dispatcher: FairDispatcher, *, published: bool) -> str:
        try:
            # Another process may take ours, and leaves us its own.
            deliveries = await dispatcher.receive(1, PROBE_SECONDS if published else 0.0)
            await dispatcher.ack(deliveries)
        except DispatcherError as error:
            return _told("receive", error)
        return "ok" if deliveries or not published else "nothing-came"

    async def _open(self) -> FairDispatcher:
        if self._dispatcher is None:
            dispatcher = self._make()
            await dispatcher.open()
            self._dispatcher = dispatcher
        return self._dispatcher

    async def _discard(self) -> None:
        dispatcher, self._dispatcher = self._dispatcher, None
        if dispatcher is not None:
            await dispatcher.close()


def _told(what: str, error: DispatcherError) -> str:
    _log.warning(f"{what} doesn't work in the namespace of readiness", reason=str(error))
    return problem_of(error).kind.name
