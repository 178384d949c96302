"""The contract under the users of compose/redis-users.acl; run by test_redis_users.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from broker_core.conformance.harness import Harness
from broker_core.conformance.suite import *  # noqa: F403 - the suite's classes are tests of this module
from tests.conformance.redis_users import UsersHarness, acl_file
from tests.servers.redis_local import LocalRedis, debian_redis


@pytest.fixture(scope="session")
def with_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    """A server with those users, which loses nothing when it is killed."""
    file = acl_file(tmp_path_factory.mktemp("acl"))
    server = LocalRedis(debian_redis(), appendfsync="always", options=["--aclfile", str(file)])
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def harness(with_users: LocalRedis) -> AsyncIterator[Harness]:
    async with UsersHarness(with_users, shards=1) as harness:
        yield harness
