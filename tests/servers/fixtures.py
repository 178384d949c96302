"""Servers as fixtures of a whole run, started when first asked for.

A server that can't be had is skipped here and named at the end of the run; with the variable CI set it is
a failure. The end of the run also names each server with the version that it reports and where it came from.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NoReturn, cast

import pytest

from broker_core.conformance.requirements import needs_of
from tests.servers import reaper
from tests.servers.interface import BrokerServer, ServerAbsent
from tests.servers.making import sources
from tests.servers.products import PRODUCTS
from tests.servers.sources import help_text

_absent = pytest.StashKey[dict[str, str]]()
_versions = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    choices = ["auto", "external", "containers", "local"]
    parser.addoption("--servers", choices=choices, default="auto", help=help_text(PRODUCTS))


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_absent] = {}
    config.stash[_versions] = {}


def pytest_unconfigure() -> None:
    reaper.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Of a run over several processes, each tells the one that people look at.
    told: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["servers"] = [session.config.stash[_versions], session.config.stash[_absent]]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = getattr(node, "workeroutput", {}).get("servers", [{}, {}])
    node.config.stash[_versions].update(told[0])
    node.config.stash[_absent].update(told[1])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, version in config.stash[_versions].items():
        terminalreporter.write_line(f"server of {name}: {version}")
    for name, reason in config.stash[_absent].items():
        terminalreporter.write_line(f"NOT TESTED, server absent: {name}: {reason}", red=True)


def _serve(config: pytest.Config, name: str, *, mortal: bool = False) -> Iterator[BrokerServer]:
    product = PRODUCTS[name]
    try:
        found = sources(mortal=mortal).find(product, config.getoption("--servers"))
    except ServerAbsent as absent:
        _miss(config, name, str(absent))
    server = found.server
    try:
        server.start()
        if not server.version.startswith(product.reports):
            _miss(config, name, f"found {server.version}, wanted {product.reports}…")
        config.stash[_versions][name] = f"{server.version} ({found.origin})"
        yield server
    except ServerAbsent as absent:
        _miss(config, name, str(absent))
    finally:
        server.stop()


def _miss(config: pytest.Config, name: str, reason: str) -> NoReturn:
    config.stash[_absent][name] = reason
    if os.environ.get("CI"):
        pytest.fail(f"server absent: {name}: {reason}", pytrace=False)
    pytest.skip(f"server absent: {name}: {reason}")


@pytest.fixture(scope="session")
def redis7(pytestconfig: pytest.Config) -> Iterator[BrokerServer]:
    yield from _serve(pytestconfig, "redis7")


@pytest.fixture(scope="session")
def redis7_mortal(pytestconfig: pytest.Config) -> Iterator[BrokerServer]:
    yield from _serve(pytestconfig, "redis7", mortal=True)


@pytest.fixture(scope="session")
def redis8(pytestconfig: pytest.Config) -> Iterator[BrokerServer]:
    yield from _serve(pytestconfig, "redis8")


@pytest.fixture(scope="session")
def redis8_mortal(pytestconfig: pytest.Config) -> Iterator[BrokerServer]:
    yield from _serve(pytestconfig, "redis8", mortal=True)


@pytest.fixture(scope="session")
def valkey9(pytestconfig: pytest.Config) -> Iterator[BrokerServer]:
    yield from _serve(pytestconfig, "valkey9")


@pytest.fixture(scope="session")
def valkey9_mortal(pytestconfig: pytest.Config) -> Iterator[BrokerServer]:
    yield from _serve(pytestconfig, "valkey9", mortal=True)


@pytest.fixture(scope="session")
def rabbitmq(pytestconfig: pytest.Config) -> Iterator[BrokerServer]:
    yield from _serve(pytestconfig, "rabbitmq")


@pytest.fixture(scope="session")
def rabbitmq_mortal(pytestconfig: pytest.Config) -> Iterator[BrokerServer]:
    yield from _serve(pytestconfig, "rabbitmq", mortal=True)


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[BrokerServer]:
    yield from _serve(pytestconfig, "kafka")


@pytest.fixture(scope="session")
def kafka_mortal(pytestconfig: pytest.Config) -> Iterator[BrokerServer]:
    yield from _serve(pytestconfig, "kafka", mortal=True)


def server_for(request: pytest.FixtureRequest, name: str) -> BrokerServer:
    """Return the server of that name; for tests that restart it, one of their own.

    That one loses nothing it confirmed, and has little to recover. If there is none that may be restarted,
    the test is skipped.
    """
    restarts = "restartable" in needs_of(request.node)
    server = cast(BrokerServer, request.getfixturevalue(f"{name}_mortal" if restarts else name))
    if restarts and not server.restartable:
        pytest.skip(f"{name} belongs to somebody else and isn't restarted")
    return server
