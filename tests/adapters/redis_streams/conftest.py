"""What is specific to Redis is tested on every server version."""

import time
from collections.abc import AsyncIterator
from typing import cast

import pytest
from redis.asyncio import Redis

from broker_core import FairDispatcher, open_dispatcher
from tests.servers.redis_local import LocalRedis


@pytest.fixture(scope="session", params=["redis7", "redis8", "valkey9"])
def server(request: pytest.FixtureRequest) -> LocalRedis:
    """A server that the tests of this folder share."""
    return cast(LocalRedis, request.getfixturevalue(request.param))


@pytest.fixture
def url(server: LocalRedis) -> str:
    return server.url


@pytest.fixture
def namespace() -> str:
    return f"a{time.time_ns()}"


@pytest.fixture
async def client(url: str) -> AsyncIterator[Redis]:
    """A client that looks behind the adapter."""
    async with Redis.from_url(url) as client:
        yield client


@pytest.fixture
async def dispatcher(url: str, namespace: str) -> AsyncIterator[FairDispatcher]:
    async with open_dispatcher("redis", url=url, namespace=namespace) as dispatcher:
        yield dispatcher
