"""The contract on RabbitMQ with quorum queues."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from broker_core.conformance.harness import Harness
from broker_core.conformance.suite import *  # noqa: F403 - the suite's classes are tests of this module
from tests.conformance.rabbitmq_harness import RabbitMQHarness, server_at


@pytest.fixture
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    url = os.environ.get("RABBITMQ_URL")
    server = server_at(url) if url else request.getfixturevalue("rabbitmq")
    async with RabbitMQHarness(server) as harness:
        yield harness
