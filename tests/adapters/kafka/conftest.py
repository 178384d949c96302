"""Fixtures of the Kafka adapter's own tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.adapters.kafka.stage import Stage
from tests.servers.interface import BrokerServer


@pytest.fixture
async def stage(kafka: BrokerServer) -> AsyncIterator[Stage]:
    async with Stage(kafka) as stage:
        yield stage
