"""What tests of the HTTP service share, and on which brokers each of them runs.

A test that takes `place` runs on each broker, with the service inside the tests' process. With `api` or
`client` it also runs on a real `fairdispatch serve` on each broker that processes can share; one with
`on_each` starts its own there. At the short size those are Redis alone for `on_each` and none for `api`,
but for tests with the mark `each_broker`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from broker_core.conformance.polling import Deadline
from tests.service.over_http.brokers import BROKERS, SHARED_BROKERS, Place, place_in
from tests.service.over_http.inside import EVERYTHING, Api, Inside, served
from tests.service.over_http.outside import served_outside

_OUTSIDE = "serve-"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "each_broker(*names): with real processes on each broker, or these, at the short size too"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    short = metafunc.config.getoption("--conformance-size") == "short"
    mark = metafunc.definition.get_closest_marker("each_broker")
    marked = [] if mark is None else list(mark.args) or SHARED_BROKERS
    if "on_each" in metafunc.fixturenames:
        names = (marked or ["redis"]) if short else SHARED_BROKERS
        metafunc.parametrize("on_each", names, indirect=True)
    if "place" in metafunc.fixturenames:
        outside = (marked if short else SHARED_BROKERS) if "api" in metafunc.fixturenames else []
        metafunc.parametrize("place", [*BROKERS, *(_OUTSIDE + broker for broker in outside)], indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """An empty namespace on each broker."""
    return place_in(request.param.removeprefix(_OUTSIDE), request)


@pytest.fixture
def on_each(request: pytest.FixtureRequest) -> Place:
    """An empty namespace that several processes can share, on each broker that has such."""
    return place_in(request.param, request)


@pytest.fixture
def in_memory(request: pytest.FixtureRequest) -> Place:
    """An empty namespace in memory, where the broker doesn't matter."""
    return place_in("memory", request)


@pytest.fixture
def on_redis(request: pytest.FixtureRequest) -> Place:
    """An empty namespace that several processes can share, where the broker doesn't matter."""
    return place_in("redis", request)


@pytest.fixture
async def inside(place: Place) -> AsyncIterator[Inside]:
    """A service in this process, on each broker."""
    async with served(place) as api:
        yield api


@pytest.fixture
async def api(
    place: Place, request: pytest.FixtureRequest, tmp_path: Path, deadline: Deadline
) -> AsyncIterator[Api]:
    """A service on each broker, in this process or as one of its own."""
    if request.node.callspec.params["place"].startswith(_OUTSIDE):
        async with served_outside(place, tmp_path, deadline) as outside:
            yield outside
    else:
        async with served(place) as api:
            yield api


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """A client that may do everything."""
    async with api.with_key(*EVERYTHING) as client:
        yield client
