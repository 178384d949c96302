"""The contract on Redis 8 with one shard; in larger runs with several too."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from broker_core.conformance.harness import Harness
from broker_core.conformance.suite import *  # noqa: F403 - the suite's classes are tests of this module
from tests.conformance.redis_harness import RedisHarness
from tests.servers.fixtures import server_for


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What several shards add hardly depends on the server's version, so a short run leaves them out."""
    if "harness" in metafunc.fixturenames:
        shards = [1] if metafunc.config.getoption("--conformance-size") == "short" else [1, 3]
        names = [f"{count}-shard{'s' if count > 1 else ''}" for count in shards]
        metafunc.parametrize("harness", shards, ids=names, indirect=True)


@pytest.fixture
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    async with RedisHarness(server_for(request, "redis8"), shards=request.param) as harness:
        yield harness
