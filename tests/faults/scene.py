"""One server with everything that can be harmed around it, for one run."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
from redis.asyncio import Redis

from broker_core.conformance.polling import Deadline
from broker_core.conformance.proxy import TcpProxy
from tests.conformance.redis_harness import RedisHarness
from tests.faults.herd import Child, Herd
from tests.faults.history import History
from tests.faults.recorded import RecordedDispatcher
from tests.servers.redis_local import LocalRedis, debian_redis

T = TypeVar("T")

USER, PASSWORD = "worker", "no-secret"
# Its rights outlast a restart, since they are given when the server starts.
WITH_USER = ("--user", USER, "on", f">{PASSWORD}", "~*", "+@all")
_RESTART_SECONDS = 20.0


class Interrupted(Exception):
    """A call was cancelled by the nemesis, not by whoever wants its task to end."""


@dataclass
class Scene:
    """What a run uses and a nemesis harms.

    calls: those under way in this process that may be cancelled. foreign: entries that were put into streams
    by somebody else. crashes: what the event loop reported.
    """

    server: LocalRedis
    proxy: TcpProxy
    namespace: str
    settings: dict[str, Any]
    folder: Path
    history: History = field(default_factory=History)
    herds: Sequence[Herd] = ()
    calls: set[asyncio.Task[Any]] = field(default_factory=set)
    foreign: int = 0
    crashes: list[str] = field(default_factory=list)
    owner: asyncio.Task[Any] | None = field(default_factory=asyncio.current_task)

    @property
    def processes(self) -> list[Child]:
        """Those that run now."""
        return [child for herd in self.herds for child in herd.running]

    def target(self, *, through_proxy: bool, trusted: bool = False) -> dict[str, Any]:
        """Return the arguments of open_dispatcher."""
        port = self.proxy.port if through_proxy else self.server.port
        who = "" if trusted else f"{USER}:{PASSWORD}@"
        return {
            "broker": "redis",
            "url": f"redis://{who}127.0.0.1:{port}/0",
            "namespace": self.namespace,
            "timeout_seconds": 1.0,
            **self.settings,
        }

    def dispatcher(self, actor: str, *, through_proxy: bool = False) -> RecordedDispatcher:
        """Make a dispatcher that isn't open, recording into this process's history."""
        return RecordedDispatcher.to(self.target(through_proxy=through_proxy), self.history, actor)

    def note_crash(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle what the event loop reports; a test that takes too long ends by that, wherever it is."""
        self.crashes.append(f"{context}")
        if isinstance(context.get("exception"), pytest.fail.Exception) and self.owner is not None:
            self.owner.cancel()

    async def call(self, calling: Coroutine[Any, Any, T]) -> T:
        """Make a call that the nemesis may cancel, which is Interrupted then."""
        task = asyncio.create_task(calling)
        self.calls.add(task)
        task.add_done_callback(self.calls.discard)
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                task.cancel()
                await asyncio.wait([task])
                raise
            raise Interrupted from None

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[Redis]:
        """Lend a client that goes past proxy and rights."""
        async with Redis(host=self.server.host, port=self.server.port) as client:
            yield client

    async def restart(self, pause_seconds: float = 0.0) -> None:
        """Kill the server, start it again, and return when it answers."""
        self.server.kill()
        await asyncio.sleep(pause_seconds)
        self.server.launch()
        await Deadline(_RESTART_SECONDS).until(self.server.answers, "the server after its restart")

    async def residue(self) -> Collection[str]:
        """Name the keys that are left beyond the documented ones and those that expire by themselves."""
        allowed = {key.encode() for key in RedisHarness(self.server, 1).constant_residue(self.namespace)}
        async with self.admin() as client:
            found = {key async for key in client.scan_iter(f"{{{self.namespace}:*", count=1000)}
            mortal = (b":dedup:", b":void")
            return [
                key.decode()
                for key in found - allowed
                if not (any(part in key for part in mortal) and await client.pttl(key) > 0)
            ]


@asynccontextmanager
async def scene(
    folder: Path, *, appendfsync: Literal["always", "everysec"] = "always", **settings: Any
) -> AsyncIterator[Scene]:
    """Set a scene with a server of its own; it must leave no connection, no task and no crash (I11)."""
    server = LocalRedis(debian_redis(), appendfsync=appendfsync, options=WITH_USER)
    server.start()
    proxy = await TcpProxy(server.host, server.port).start()
    here = Scene(server, proxy, f"f{secrets.token_hex(4)}", settings, folder)
    asyncio.get_running_loop().set_exception_handler(here.note_crash)
    try:
        yield here
        await proxy.close()
        await Deadline(5).until(lambda: _is_alone(here), "an end of all connections")
        assert not here.crashes, f"tasks ended with exceptions that nobody saw: {here.crashes}"
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, f"tasks without an owner are left: {others}"
    finally:
        await proxy.close()
        server.stop()


async def _is_alone(here: Scene) -> bool:
    async with here.admin() as client:
        return len(await client.client_list()) == 1
