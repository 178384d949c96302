"""The pytest plugin of the suite: its options, its marker, its fixtures.

Load it with `pytest_plugins = ["broker_core.conformance.plugin"]` in the top `conftest.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from broker_core.conformance.topics import TOPICS

for _topic in (*TOPICS, "consuming", "fairness_checks", "recorder"):
    pytest.register_assert_rewrite(f"broker_core.conformance.{_topic}")

from broker_core.conformance.harness import Harness  # noqa: E402 - the rewriting of asserts comes first
from broker_core.conformance.polling import Deadline  # noqa: E402
from broker_core.conformance.requirements import needs_of, unmet  # noqa: E402
from broker_core.conformance.sizes import SIZE_NAMES, Size  # noqa: E402
from broker_core.conformance.table import SERVER_PROPERTY, ConformanceTable  # noqa: E402

_DEADLINE_SECONDS = 60.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    group = parser.getgroup("conformance of fair dispatcher adapters")
    group.addoption(
        "--conformance-size", choices=SIZE_NAMES, default="short", help="how much work each test does"
    )
    group.addoption(
        "--conformance-table",
        type=Path,
        metavar="FILE",
        help="write behaviours × brokers, with what passed, was skipped and why, as Markdown or *.json",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the table if it is wanted."""
    config.addinivalue_line(
        "markers", "requires(*needs): skip unless adapter and harness offer this (conformance)"
    )
    config.addinivalue_line("markers", "deadline(seconds): how long a conformance test may take, default 60")
    if path := config.getoption("--conformance-table"):
        config.pluginmanager.register(ConformanceTable(path, config.getoption("--conformance-size")))


@pytest.fixture(autouse=True)
def _skip_unless_met(request: pytest.FixtureRequest) -> None:
    needs = needs_of(request.node)
    if "harness" not in request.fixturenames:
        return
    harness: Harness = request.getfixturevalue("harness")
    request.node.user_properties.append((SERVER_PROPERTY, harness.server))
    if missing := unmet(needs, harness):
        pytest.skip(f"not offered: {', '.join(missing)}")


@pytest.fixture
def namespace(harness: Harness) -> str:
    """A namespace that no other test uses."""
    return harness.namespace()


@pytest.fixture
def size(pytestconfig: pytest.Config) -> Size:
    """How much work to do."""
    return Size(pytestconfig.getoption("--conformance-size"))


@pytest.fixture
def deadline(request: pytest.FixtureRequest) -> Deadline:
    """The one deadline of this test."""
    mark = request.node.get_closest_marker("deadline")
    return Deadline(mark.args[0] if mark else _DEADLINE_SECONDS)
