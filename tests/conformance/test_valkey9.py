"""The contract on Valkey 9, with one shard and with several."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from broker_core.conformance.harness import Harness
from broker_core.conformance.suite import *  # noqa: F403 - the suite's classes are tests of this module
from tests.conformance.redis_harness import RedisHarness, over_shards
from tests.servers.fixtures import server_for


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    over_shards(metafunc, short=[1, 3])


@pytest.fixture
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    async with RedisHarness(server_for(request, "valkey9"), shards=request.param) as harness:
        yield harness
