"""What is specific to RabbitMQ is tested on one server of the run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from broker_core.conformance.proxy import TcpProxy
from fair_rabbitmq.connection import Connections
from fair_rabbitmq.journal.stream import Journal
from tests.servers.rabbitmq_local import LocalRabbitMQ

OpenJournal = Callable[..., Awaitable[Journal]]


@pytest.fixture
def namespace() -> str:
    return f"a{time.time_ns()}"


@pytest.fixture
async def proxy(rabbitmq: LocalRabbitMQ) -> AsyncIterator[TcpProxy]:
    """A way to the server that can be cut."""
    proxy = await TcpProxy(rabbitmq.host, rabbitmq.port).start()
    yield proxy
    await proxy.close()


@pytest.fixture
async def connections(rabbitmq: LocalRabbitMQ, namespace: str) -> AsyncIterator[Connections]:
    """Connections to the server; what the tests of this folder make in it is removed at the end."""
    connections = Connections(rabbitmq.url, "test", 5.0, 10)
    yield connections
    channel = await connections.consuming()
    for name in ("journal", "dead", "delay:due", *(f"delay:{1 << exponent}" for exponent in range(8, 32))):
        await channel.queue_delete(f"{namespace}:{name}")
    await connections.close()


@pytest.fixture
async def open_journal(connections: Connections, namespace: str) -> AsyncIterator[OpenJournal]:
    """Start journals on the same stream, closed at the end, each in less than a second, with no task left."""
    before = asyncio.all_tasks()
    async with AsyncExitStack() as stack:

        async def start(dispatcher: str, channels: Connections = connections, **settings: Any) -> Journal:
            journal = Journal(channels, f"{namespace}:journal", dispatcher=dispatcher, **settings)
            await journal.start()
            stack.push_async_callback(_close_quickly, journal)
            return journal

        yield start
    left = {task for task in asyncio.all_tasks() - before if "journal" in repr(task.get_coro())}
    assert not left


async def _close_quickly(journal: Journal) -> None:
    before = time.monotonic()
    await journal.close()
    assert time.monotonic() - before < 1.0
    await journal.close()
