"""The contract on RabbitMQ with quorum queues."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from broker_core.conformance.harness import Harness
from broker_core.conformance.suite import *  # noqa: F403 - the suite's classes are tests of this module
from tests.conformance.rabbitmq_harness import RabbitMQHarness
from tests.servers.fixtures import server_for


@pytest.fixture
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    async with RabbitMQHarness(server_for(request, "rabbitmq")) as harness:
        yield harness
