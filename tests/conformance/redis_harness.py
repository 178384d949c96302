"""The harness of the adapter for Redis Streams, over any server that speaks Redis' protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, ClassVar

import pytest
from redis.asyncio import Redis

from broker_core.adapter import Capabilities
from broker_core.conformance.harness import Features, Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.proxy import TcpProxy
from broker_core.dispatcher import FairDispatcher
from broker_core.model import Delivery
from fair_redis_streams import keys
from fair_redis_streams.adapter import RedisStreamsAdapter
from fair_redis_streams.connection import Connections
from fair_redis_streams.library import Library, library
from fair_redis_streams.receipts import by_shard
from fair_redis_streams.settings import RedisStreamsSettings
from fair_redis_streams.shards import shard_of
from tests.servers.interface import BrokerServer, at

_RESTART_SECONDS = 20.0
# Through a proxy connections are broken on purpose; tests needn't wait as long for it as networks do.
_PROXY_TIMEOUT_SECONDS = 1.0


def over_shards(metafunc: pytest.Metafunc, *, short: Sequence[int]) -> None:
    """Parametrise `harness` by the number of shards: 1 and 3, or `short` in a run of that size.

    What several shards add hardly depends on the server's version, so that short runs look at it once.
    """
    if "harness" in metafunc.fixturenames:
        shards = short if metafunc.config.getoption("--conformance-size") == "short" else [1, 3]
        names = [f"{count}-shard{'s' if count > 1 else ''}" for count in shards]
        metafunc.parametrize("harness", shards, ids=names, indirect=True)


class OtherRelease(RedisStreamsAdapter):
    """The adapter with server functions of another version, which differ in a comment."""

    async def _join(self, connections: Connections) -> None:
        await super()._join(connections)
        server, sound = self._receiver._server, library()
        version = hashlib.sha256(b"another " + sound.source.encode()).hexdigest()[:12]
        old = sound.prefix[3:-1]
        source = sound.source.replace(old, version) + "\n-- of another release\n"
        server._library = Library(sound.name.replace(old, version), source, f"fd_{version}_")
        server._functions.clear()
        await server.run("open", 0, 0)


class RedisHarness(Harness):
    """Every namespace of it has that many shards."""

    features: ClassVar[Features] = Features(
        processes=True,
        restartable=True,
        proxy=True,
        credentials=True,
        garbage=True,
        removal=True,
        releases=True,
    )

    def __init__(self, server: BrokerServer, shards: int) -> None:
        super().__init__()
        self._server = server
        self._shards = shards

    @property
    def capabilities(self) -> Capabilities:
        return RedisStreamsAdapter.capabilities

    @property
    def server(self) -> str:
        return f"{self._server.version}, {self._shards} shard{'s' if self._shards > 1 else ''}"

    def make(self, namespace: str, proxy: TcpProxy | None, settings: Mapping[str, Any]) -> FairDispatcher:
        url = self._server.url if proxy is None else at(self._server.url, proxy.host, proxy.port)
        time_out = {"timeout_seconds": _PROXY_TIMEOUT_SECONDS} if proxy is not None else {}
        return self._make(namespace, url, {**time_out, **settings})

    def _make(
        self,
        namespace: str,
        url: str,
        settings: Mapping[str, Any],
        adapter_type: type[RedisStreamsAdapter] = RedisStreamsAdapter,
    ) -> FairDispatcher:
        loaded = RedisStreamsSettings.load(namespace=namespace, url=url, shards=self._shards, **settings)
        return FairDispatcher(adapter_type(loaded), loaded)

    def worker_target(self) -> Mapping[str, Any]:
        return {"broker": "redis", "url": self._server.url, "shards": self._shards}

    def broker_address(self) -> tuple[str, int]:
        return self._server.host, self._server.port

    def unauthorised(self, namespace: str) -> FairDispatcher:
        host, port = self.broker_address()
        return self._make(namespace, f"redis://nobody:wrong-secret@{host}:{port}/0", {})

    def other_release(self, namespace: str, settings: Mapping[str, Any]) -> FairDispatcher:
        host, port = self.broker_address()
        return self._make(namespace, f"redis://{host}:{port}/0", settings, OtherRelease)

    async def remove_leased(self, namespace: str, delivery: Delivery) -> None:
        ((shard, held),) = by_shard([delivery.receipt], self._shards).items()
        async with self._client() as client:
            key = f"{keys.tag(namespace, shard)}:lease:{held.tokens[0]}"
            assert await client.hdel(key, held.refs[0]) == 1

    async def restart_broker(self) -> None:
        self._server.kill()
        self._server.launch()
        await Deadline(_RESTART_SECONDS).until(self._server.answers, "the server after its restart")

    async def residue(self, namespace: str) -> Collection[str]:
        async with self._client() as client:
            return [key.decode() async for key in client.scan_iter(match=f"{{{namespace}:*}}*", count=1000)]

    def constant_residue(self, namespace: str) -> Collection[str]:
        return [
            f"{keys.tag(namespace, shard)}:{key}"
            for shard in range(self._shards)
            for key in ("meta", "deficit", "leased", "wake")
        ]

    async def inject_garbage(self, namespace: str, customer: str) -> None:
        shard = shard_of(customer, self._shards)
        key = f"{keys.tag(namespace, shard)}:ready:{customer}"
        async with self._client() as client:
            await client.xadd(key, {b"foo": b"bar"}, id="*")

    def scheduler_of(self, namespace: str, customer: str) -> Hashable:
        return shard_of(customer, self._shards)

    def _client(self) -> Redis:
        return Redis.from_url(self._server.url)
