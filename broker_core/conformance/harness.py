"""What an adapter's tests supply: dispatchers, ways to break things, a look behind them."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Coroutine, Hashable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Self

from broker_core.adapter import Capabilities
from broker_core.conformance.proxy import TcpProxy
from broker_core.conformance.worker_handle import WorkerHandle
from broker_core.dispatcher import FairDispatcher
from broker_core.model import Delivery

_namespaces = itertools.count(1)
_log = logging.getLogger(__name__)
# Far more than any close may take; it is there to end a test that hangs.
_CLOSE_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What the harness can do, as data; the suite skips by it.

    processes: several processes reach the same broker. restartable: `restart_broker` works.
    proxy: dispatchers can be made through a TcpProxy. credentials: the broker checks them.
    garbage: `inject_garbage` works. removal: `remove_leased` works. releases: `other_release` works.
    staged_publish: publishing first stores what nobody sees, and that is sent again after a cut without
    harm; without it, a message exists as soon as the broker has read the request.
    """

    processes: bool
    restartable: bool
    proxy: bool
    credentials: bool
    garbage: bool
    removal: bool = False
    releases: bool = False
    staged_publish: bool = False


class Harness(ABC):
    """One broker, for one test; closes everything that it made when it ends.

    Use it as an async context manager. It fails the test if tasks are left over or have crashed.
    residue_seconds: how long the broker may hold what is gone; 0: not at all.
    """

    features: ClassVar[Features]
    residue_seconds: ClassVar[float] = 0.0

    def __init__(self) -> None:
        self._dispatchers: list[FairDispatcher] = []
        self._private_proxies: dict[FairDispatcher, TcpProxy] = {}
        self._proxies: list[TcpProxy] = []
        self._workers: list[WorkerHandle] = []
        self._crashes: list[str] = []

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What the adapter declares."""

    @property
    def server(self) -> str:
        """What the broker calls itself, with its version; for tables."""
        return ""

    @abstractmethod
    def make(self, namespace: str, proxy: TcpProxy | None, settings: Mapping[str, Any]) -> FairDispatcher:
        """Construct a dispatcher that isn't opened, connecting through the proxy if there is one.

        Settings that are missing are the adapter's defaults.
        """

    @abstractmethod
    async def residue(self, namespace: str) -> Collection[str]:
        """Name the objects that the broker holds for this namespace."""

    @abstractmethod
    def constant_residue(self, namespace: str) -> Collection[str]:
        """Name the objects that the adapter's documentation allows to stay when everything is acked."""

    # What follows has a default for harnesses that don't offer the feature.

    def worker_target(self) -> Mapping[str, Any]:
        """Return the arguments of open_dispatcher, as JSON values, for another process [processes]."""
        raise NotImplementedError

    async def restart_broker(self) -> None:
        """Kill the broker without warning; return when it answers again [restartable].

        It has to be set up so that nothing which it confirmed is lost by that.
        """
        raise NotImplementedError

    def broker_address(self) -> tuple[str, int]:
        """Return host and port for a proxy [proxy]."""
        raise NotImplementedError

    def unauthorised(self, namespace: str) -> FairDispatcher:
        """Construct a dispatcher with a wrong password, the text "wrong-secret" [credentials]."""
        raise NotImplementedError

    async def inject_garbage(self, namespace: str, customer: str) -> None:
        """Put an entry that no adapter has written behind the customer's waiting messages [garbage]."""
        raise NotImplementedError

    async def remove_leased(self, namespace: str, delivery: Delivery) -> None:
        """Remove a leased message from the broker behind the adapter's back [removal]."""
        raise NotImplementedError

    def other_release(self, namespace: str, settings: Mapping[str, Any]) -> FairDispatcher:
        """Construct a dispatcher like `make`, of a release whose code in the broker has another version.

        Both work on the same namespace [releases].
        """
        raise NotImplementedError

    def scheduler_of(self, namespace: str, customer: str) -> Hashable:
        """Tell which of several schedulers serves the customer; one serves all by default."""
        del namespace, customer
        return 0

    # What follows is for the tests.

    def schedulers(self, dispatchers: int) -> int:
        """Tell how many schedules so many dispatchers follow: one together, or each its own."""
        return 1 if self.capabilities.fairness_scope == "namespace" else dispatchers

    def namespace(self) -> str:
        """Return a name that no other test uses."""
        return f"t{os.getpid()}-{next(_namespaces)}-{os.urandom(3).hex()}"

    def dispatcher(self, namespace: str, *, proxy: TcpProxy | None = None, **settings: Any) -> FairDispatcher:
        """Make a dispatcher that isn't opened; the harness closes it in the end."""
        dispatcher = self.make(namespace, proxy, settings)
        self._dispatchers.append(dispatcher)
        return dispatcher

    async def open(self, namespace: str, *, proxy: TcpProxy | None = None, **settings: Any) -> FairDispatcher:
        """Make a dispatcher and open it."""
        return await self.dispatcher(namespace, proxy=proxy, **settings).open()

    async def open_other_release(self, namespace: str, **settings: Any) -> FairDispatcher:
        """Make and open a dispatcher of another release."""
        dispatcher = self.other_release(namespace, settings)
        self._dispatchers.append(dispatcher)
        return await dispatcher.open()

    async def open_mortal(self, namespace: str, **settings: Any) -> FairDispatcher:
        """Make and open a dispatcher that `crash` can end."""
        if not self.features.proxy:
            return await self.open(namespace, **settings)
        proxy = await self.proxy()
        dispatcher = await self.open(namespace, proxy=proxy, **settings)
        self._private_proxies[dispatcher] = proxy
        return dispatcher

    async def crash(self, dispatcher: FairDispatcher) -> None:
        """End a mortal dispatcher as if its process had died: nothing is given back, nothing is said."""
        proxy = self._private_proxies.get(dispatcher)
        if proxy is not None:
            await proxy.close()
        await dispatcher.close(release=False)

    async def proxy(self) -> TcpProxy:
        """Start a proxy in front of the broker [proxy]."""
        proxy = await TcpProxy(*self.broker_address()).start()
        self._proxies.append(proxy)
        return proxy

    async def spawn_worker(
        self,
        namespace: str,
        behaviour: str,
        *,
        max_messages: int = 10,
        work_seconds: float = 0.0,
        on_signal: bool = False,
        **settings: Any,
    ) -> WorkerHandle:
        """Start a consumer in a process of its own and wait until it is ready [processes].

        behaviour, max_messages, work_seconds, on_signal: see `broker_core.conformance.worker_process`.
        """
        task = {
            "target": {**self.worker_target(), **settings, "namespace": namespace},
            "behaviour": behaviour,
            "max_messages": max_messages,
            "work_seconds": work_seconds,
            "on_signal": on_signal,
        }
        worker = await WorkerHandle.start(json.dumps(task))
        self._workers.append(worker)
        return worker

    def customers(self, namespace: str, count: int) -> list[str]:
        """Name customers that share one scheduler, so that the fairness bound holds between them."""
        names = (f"customer-{number:04}" for number in itertools.count())
        first = self.scheduler_of(namespace, "customer-0000")
        return list(
            itertools.islice((name for name in names if self.scheduler_of(namespace, name) == first), count)
        )

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().set_exception_handler(self._note_crash)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        hung: list[str] = []
        for worker in self._workers:
            hung += await _hangs("a worker's kill", worker.kill())
        for dispatcher in self._dispatchers:
            hung += await _hangs("a dispatcher's close", dispatcher.close())
        for proxy in self._proxies:
            hung += await _hangs("a proxy's close", proxy.close())
        assert not hung, f"not done within {_CLOSE_SECONDS} seconds: {hung}"
        left = await _tasks_left()
        assert not left, f"tasks without an owner are left after close: {left}"
        assert not self._crashes, f"tasks ended with exceptions that nobody saw: {self._crashes}"

    def _note_crash(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        del loop
        _log.error("unhandled in the event loop: %s", context["message"], exc_info=context.get("exception"))
        self._crashes.append(f"{context['message']}: {context.get('exception')!r}")


async def _hangs(name: str, closing: Coroutine[Any, Any, None]) -> list[str]:
    """Wait for a close; the name, with where it waits, if it doesn't end in time."""
    task = asyncio.create_task(closing)
    _, pending = await asyncio.wait({task}, timeout=_CLOSE_SECONDS)
    if not pending:
        task.result()
        return []
    others = [repr(other) for other in asyncio.all_tasks() - {asyncio.current_task(), task}]
    task.cancel()
    return [f"{name}, beside {others}"]


async def _tasks_left() -> list[str]:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if not others:
        return []
    _, pending = await asyncio.wait(others, timeout=1.0)
    return [repr(task) for task in pending]
