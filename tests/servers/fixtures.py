"""Servers as fixtures of a whole run, started when first asked for.

A server that this machine lacks is skipped here and named at the end of the run; with the variable CI
set it is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar, cast

import pytest

from broker_core.conformance.requirements import needs_of
from tests.servers.interface import BrokerServer, ServerAbsent
from tests.servers.kafka_jars import kafka_jars
from tests.servers.kafka_local import LocalKafka
from tests.servers.rabbitmq_local import LocalRabbitMQ, debian_rabbitmq
from tests.servers.redis_local import LocalRedis, debian_redis, wheel_redis, wheel_valkey

Server = TypeVar("Server", bound=BrokerServer)
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


def _serve(config: pytest.Config, name: str, expected: str, make: Callable[[], Server]) -> Iterator[Server]:
    try:
        server = make()
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
    yield from _serve(pytestconfig, "redis7", "redis 7.", lambda: LocalRedis(debian_redis()))


@pytest.fixture(scope="session")
def redis7_mortal(pytestconfig: pytest.Config) -> Iterator[LocalRedis]:
    """The same with appendfsync always."""
    yield from _serve(
        pytestconfig, "redis7", "redis 7.", lambda: LocalRedis(debian_redis(), appendfsync="always")
    )


@pytest.fixture(scope="session")
def redis8(pytestconfig: pytest.Config) -> Iterator[LocalRedis]:
    """Redis 8 out of a wheel."""
    yield from _serve(pytestconfig, "redis8", "redis 8.", lambda: LocalRedis(wheel_redis()))


@pytest.fixture(scope="session")
def redis8_mortal(pytestconfig: pytest.Config) -> Iterator[LocalRedis]:
    """The same with appendfsync always."""
    yield from _serve(
        pytestconfig, "redis8", "redis 8.", lambda: LocalRedis(wheel_redis(), appendfsync="always")
    )


@pytest.fixture(scope="session")
def valkey9(pytestconfig: pytest.Config) -> Iterator[LocalRedis]:
    """Valkey 9 out of a wheel."""
    yield from _serve(pytestconfig, "valkey9", "valkey 9.", lambda: LocalRedis(wheel_valkey()))


@pytest.fixture(scope="session")
def valkey9_mortal(pytestconfig: pytest.Config) -> Iterator[LocalRedis]:
    """The same with appendfsync always."""
    yield from _serve(
        pytestconfig, "valkey9", "valkey 9.", lambda: LocalRedis(wheel_valkey(), appendfsync="always")
    )


@pytest.fixture(scope="session")
def rabbitmq(pytestconfig: pytest.Config) -> Iterator[LocalRabbitMQ]:
    """RabbitMQ of the system's package."""
    yield from _serve(pytestconfig, "rabbitmq", "rabbitmq ", lambda: LocalRabbitMQ(debian_rabbitmq()))


@pytest.fixture(scope="session")
def rabbitmq_mortal(pytestconfig: pytest.Config) -> Iterator[LocalRabbitMQ]:
    """Another one, for tests that kill it: it has little to recover."""
    yield from _serve(pytestconfig, "rabbitmq", "rabbitmq ", lambda: LocalRabbitMQ(debian_rabbitmq()))


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[LocalKafka]:
    """Apache Kafka out of its jars."""
    yield from _serve(pytestconfig, "kafka", "kafka 4.", lambda: LocalKafka(kafka_jars()))


@pytest.fixture(scope="session")
def kafka_mortal(pytestconfig: pytest.Config) -> Iterator[LocalKafka]:
    """Another one, for tests that kill it: it has little to recover."""
    yield from _serve(pytestconfig, "kafka", "kafka 4.", lambda: LocalKafka(kafka_jars()))


def server_for(request: pytest.FixtureRequest, name: str) -> BrokerServer:
    """Return the server of that name; for tests that kill it, one that loses nothing it confirmed by that.

    With appendfsync everysec Redis puts off its write to the file while an fsync is under way, for two
    seconds at most; what it confirmed meanwhile is lost with its process.
    """
    kills = "restartable" in needs_of(request.node)
    return cast(BrokerServer, request.getfixturevalue(f"{name}_mortal" if kills else name))
