"""The harness of the adapter for RabbitMQ."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import aio_pika

from broker_core.adapter import Capabilities
from broker_core.conformance.harness import Features, Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.proxy import TcpProxy
from broker_core.dispatcher import FairDispatcher
from fair_rabbitmq.adapter import RabbitMQAdapter
from fair_rabbitmq.settings import RabbitMQSettings
from fair_rabbitmq.topology import Topology
from tests.servers.interface import BrokerServer

_RESTART_SECONDS = 40.0
_LIST_SAVED_SECONDS = 1.5
# Through a proxy connections are broken on purpose; tests needn't wait as long for it as networks do.
_PROXY_TIMEOUT_SECONDS = 1.0
# A server for tests holds thousands of queues of earlier tests on a machine that does other things too.
_TIMEOUT_SECONDS = 15.0


def _queues_of(topology: Topology) -> str:
    return f"{topology.exchange}:q:"


@runtime_checkable
class _Managed(Protocol):
    @property
    def management_url(self) -> str: ...


class RabbitMQHarness(Harness):
    """Every namespace of it has queues of that type."""

    features: ClassVar[Features] = Features(
        processes=True, restartable=True, proxy=True, credentials=True, garbage=True
    )

    def __init__(self, server: BrokerServer, **settings: Any) -> None:
        super().__init__()
        self._server = server
        self._settings = settings

    @property
    def server(self) -> str:
        return self._server.version

    @property
    def capabilities(self) -> Capabilities:
        return RabbitMQAdapter.capabilities

    def make(self, namespace: str, proxy: TcpProxy | None, settings: Mapping[str, Any]) -> FairDispatcher:
        host, port = (proxy.host, proxy.port) if proxy is not None else self.broker_address()
        time_out = {"timeout_seconds": _TIMEOUT_SECONDS if proxy is None else _PROXY_TIMEOUT_SECONDS}
        return self._make(namespace, f"amqp://guest:guest@{host}:{port}/", {**time_out, **settings})

    def _make(self, namespace: str, url: str, settings: Mapping[str, Any]) -> FairDispatcher:
        loaded = RabbitMQSettings.load(namespace=namespace, url=url, **{**self._settings, **settings})
        return FairDispatcher(RabbitMQAdapter(loaded), loaded)

    def worker_target(self) -> Mapping[str, Any]:
        host, port = self.broker_address()
        return {"broker": "rabbitmq", "url": f"amqp://guest:guest@{host}:{port}/", **self._settings}

    def broker_address(self) -> tuple[str, int]:
        return self._server.host, self._server.port

    def unauthorised(self, namespace: str) -> FairDispatcher:
        host, port = self.broker_address()
        return self._make(namespace, f"amqp://guest:wrong-secret@{host}:{port}/", {})

    async def restart_broker(self) -> None:
        # RabbitMQ writes the list of its queues to disk half a second after the last one was made; when it
        # is killed before that, such a queue doesn't come back.
        await asyncio.sleep(_LIST_SAVED_SECONDS)
        await asyncio.to_thread(self._server.kill)
        await asyncio.to_thread(self._server.launch)
        await Deadline(_RESTART_SECONDS).until(
            lambda: asyncio.to_thread(self._server.answers), "the server after its restart"
        )

    async def residue(self, namespace: str) -> Collection[str]:
        found = await asyncio.to_thread(self._listed, f"fairdispatch:{namespace}")
        return [*found, *await self._waiting(namespace, found)]

    async def _waiting(self, namespace: str, found: Collection[str]) -> list[str]:
        """Name the queues of customers and of delays that hold something: what stays has to be empty."""
        topology = Topology(namespace)
        queues = [name.removeprefix("queues ") for name in found if name.startswith("queues ")]
        looked_into = [one for one in queues if one.startswith((_queues_of(topology), topology.delays))]
        host, port = self.broker_address()
        waiting = []
        async with await aio_pika.connect(f"amqp://guest:guest@{host}:{port}/") as connection:
            channel = await connection.channel()
            for name in looked_into:
                queue = await channel.declare_queue(name, passive=True)
                if queue.declaration_result.message_count:
                    waiting.append(f"messages in {name}")
        return waiting

    def _listed(self, prefix: str) -> list[str]:
        base = urlsplit(self._management_url())
        login = f"{base.username}:{base.password}".encode()
        names = []
        for kind in ("queues", "exchanges"):
            request = Request(
                f"http://{base.hostname}:{base.port}/api/{kind}?columns=name",
                headers={"Authorization": f"Basic {base64.b64encode(login).decode()}"},
            )
            with urlopen(request, timeout=10) as answer:
                names += [f"{kind} {one['name']}" for one in json.load(answer)]
        return [name for name in names if name.partition(" ")[2].startswith((f"{prefix}:", prefix))]

    def _management_url(self) -> str:
        if isinstance(self._server, _Managed):
            return self._server.management_url
        # Somebody else's: by default the plugin listens ten thousand ports further.
        return f"http://guest:guest@{self._server.host}:{self._server.port + 10_000}"

    def constant_residue(self, namespace: str) -> Collection[str]:
        topology = Topology(namespace)
        constant = {
            f"exchanges {topology.exchange}",
            f"exchanges {topology.peers_exchange}",
            f"queues {topology.journal}",
            f"queues {topology.dead_letters}",
        }
        # Queues of customers stay until they were idle for a while, inboxes as long as their dispatchers.
        passing = (
            f"queues {_queues_of(topology)}",
            f"queues {topology.inbox('')}",
            f"queues {topology.delays}",
        )
        return [
            name for name in self._listed(topology.exchange) if name in constant or name.startswith(passing)
        ]

    async def inject_garbage(self, namespace: str, customer: str) -> None:
        topology = Topology(namespace)
        host, port = self.broker_address()
        async with await aio_pika.connect(f"amqp://guest:guest@{host}:{port}/") as connection:
            channel = await connection.channel()
            exchange = await channel.get_exchange(topology.exchange)
            await exchange.publish(
                aio_pika.Message(b"no envelope \xff"), routing_key=topology.key(customer), mandatory=True
            )
