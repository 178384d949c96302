"""Servers as fixtures of a whole run, started when first asked for.

A server that this machine lacks is skipped here and named at the end of the run; with the variable CI
set it is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NoReturn

import pytest

from broker_core.conformance.requirements import needs_of
from tests.servers.interface import ServerAbsent
from tests.servers.redis_local import LocalRedis, debian_redis, wheel_redis, wheel_valkey

_absent = pytest.StashKey[dict[str, str]]()
_versions = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--servers",
        choices=["local"],
        default="local",
        help="where the brokers come from: local, child processes of programs on this machine",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_absent] = {}
    config.stash[_versions] = {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, version in config.stash[_versions].items():
        terminalreporter.write_line(f"server of {name}: {version}")
    for name, reason in config.stash[_absent].items():
        terminalreporter.write_line(f"NOT TESTED, server absent: {name}: {reason}", red=True)


def _serve(
    config: pytest.Config,
    name: str,
    find: Callable[[], Path],
    expected: str,
    appendfsync: Literal["always", "everysec"] = "everysec",
) -> Iterator[LocalRedis]:
    try:
        server = LocalRedis(find(), appendfsync=appendfsync)
    except ServerAbsent as absent:
        _miss(config, name, str(absent))
    try:
        server.start()
        if not server.version.startswith(expected):
            _miss(config, name, f"found {server.version}, wanted {expected}…")
        config.stash[_versions][name] = server.version
        yield server
    finally:
        server.stop()


def _miss(config: pytest.Config, name: str, reason: str) -> NoReturn:
    config.stash[_absent][name] = reason
    if os.environ.get("CI"):
        pytest.fail(f"server absent: {name}: {reason}", pytrace=False)
    pytest.skip(f"server absent: {name}: {reason}")


@pytest.fixture(scope="session")
def redis7(pytestconfig: pytest.Config) -> Iterator[LocalRedis]:
    """Redis 7 of the system's package."""
    yield from _serve(pytestconfig, "redis7", debian_redis, "redis 7.")


@pytest.fixture(scope="session")
def redis7_durable(pytestconfig: pytest.Config) -> Iterator[LocalRedis]:
    """The same with appendfsync always."""
    yield from _serve(pytestconfig, "redis7", debian_redis, "redis 7.", "always")


@pytest.fixture(scope="session")
def redis8(pytestconfig: pytest.Config) -> Iterator[LocalRedis]:
    """Redis 8 out of a wheel."""
    yield from _serve(pytestconfig, "redis8", wheel_redis, "redis 8.")


@pytest.fixture(scope="session")
def redis8_durable(pytestconfig: pytest.Config) -> Iterator[LocalRedis]:
    """The same with appendfsync always."""
    yield from _serve(pytestconfig, "redis8", wheel_redis, "redis 8.", "always")


@pytest.fixture(scope="session")
def valkey9(pytestconfig: pytest.Config) -> Iterator[LocalRedis]:
    """Valkey 9 out of a wheel."""
    yield from _serve(pytestconfig, "valkey9", wheel_valkey, "valkey 9.")


@pytest.fixture(scope="session")
def valkey9_durable(pytestconfig: pytest.Config) -> Iterator[LocalRedis]:
    """The same with appendfsync always."""
    yield from _serve(pytestconfig, "valkey9", wheel_valkey, "valkey 9.", "always")


def server_for(request: pytest.FixtureRequest, name: str) -> LocalRedis:
    """Return the server of that name; for tests that kill it, one that loses nothing it confirmed by that.

    With appendfsync everysec Redis puts off its write to the file while an fsync is under way, for two
    seconds at most; what it confirmed meanwhile is lost with its process.
    """
    kills = "restartable" in needs_of(request.node)
    server = request.getfixturevalue(f"{name}_durable" if kills else name)
    assert isinstance(server, LocalRedis)
    return server
