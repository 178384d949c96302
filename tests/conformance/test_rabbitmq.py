"""The contract on RabbitMQ with quorum queues; in long runs with classic ones as well."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from broker_core.conformance.harness import Harness
from broker_core.conformance.suite import *  # noqa: F403 - the suite's classes are tests of this module
from tests.conformance.rabbitmq_harness import RabbitMQHarness
from tests.servers.fixtures import server_for


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "harness" in metafunc.fixturenames and metafunc.config.getoption("--conformance-size") != "short":
        metafunc.parametrize("harness", ["quorum", "classic"], indirect=True)


@pytest.fixture
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    queue_type = getattr(request, "param", "quorum")
    async with RabbitMQHarness(server_for(request, "rabbitmq"), queue_type=queue_type) as harness:
        yield harness
