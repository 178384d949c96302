"""Plugins of all tests."""

from __future__ import annotations

from collections.abc import Generator

import pytest

pytest_plugins = ["broker_core.conformance.plugin", "tests.servers.fixtures", "tests.faults.options"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    # Some tests log what no encoding takes; a report that goes to another process is encoded.
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report
