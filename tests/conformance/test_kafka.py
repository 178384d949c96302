"""The contract on Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from broker_core.conformance.harness import Harness
from broker_core.conformance.suite import *  # noqa: F403 - the suite's classes are tests of this module
from tests.conformance.kafka_harness import KafkaHarness
from tests.servers.fixtures import server_for


@pytest.fixture
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    async with KafkaHarness(server_for(request, "kafka")) as harness:
        yield harness
