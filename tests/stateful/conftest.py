"""Every server that the adapter for Redis supports."""

from __future__ import annotations

import pytest

from tests.servers.redis_local import LocalRedis


@pytest.fixture(params=["redis7", "redis8", "valkey9"])
def server(request: pytest.FixtureRequest) -> LocalRedis:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, LocalRedis)
    return found
