"""What the tests of several adapters share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.adapters.silent import Silent


@pytest.fixture
async def silent() -> AsyncIterator[Silent]:
    """A port that speaks something else."""
    silent = Silent()
    server = await asyncio.start_server(silent.take, silent.host, 0)
    silent.port = server.sockets[0].getsockname()[1]
    yield silent
    server.close()
    silent.close()
