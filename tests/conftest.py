"""Plugins of all tests."""

from __future__ import annotations

pytest_plugins = ["broker_core.conformance.plugin", "tests.servers.fixtures", "tests.faults.options"]
