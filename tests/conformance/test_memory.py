"""The contract on the memory adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from broker_core.conformance.harness import Harness
from broker_core.conformance.suite import *  # noqa: F403 - the suite's classes are tests of this module
from tests.conformance.memory_harness import MemoryHarness


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with MemoryHarness() as harness:
        yield harness
