"""What tests of the HTTP service share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.service.over_http.brokers import BROKERS, Place, place_in
from tests.service.over_http.inside import EVERYTHING, Api, served


@pytest.fixture(params=BROKERS)
def place(request: pytest.FixtureRequest) -> Place:
    """An empty namespace on each broker."""
    return place_in(request.param, request)


@pytest.fixture
def in_memory(request: pytest.FixtureRequest) -> Place:
    """An empty namespace in memory, where the broker doesn't matter."""
    return place_in("memory", request)


@pytest.fixture
def on_redis(request: pytest.FixtureRequest) -> Place:
    """An empty namespace that several processes can share."""
    return place_in("redis", request)


@pytest.fixture
async def api(place: Place) -> AsyncIterator[Api]:
    """A service on each broker."""
    async with served(place) as api:
        yield api


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """A client that may do everything."""
    async with api.with_key(*EVERYTHING) as client:
        yield client
