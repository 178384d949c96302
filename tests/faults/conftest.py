"""Gives the random mix of faults the time that it was told to take."""

from __future__ import annotations

import pytest

from tests.faults.options import seconds_of


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("random_mix"):
            item.add_marker(pytest.mark.timeout(seconds_of(config) + 300))
