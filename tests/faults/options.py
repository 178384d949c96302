"""Options of the tests under faults."""

from __future__ import annotations

import secrets

import pytest

_SECONDS = {"short": 10.0, "full": 1800.0, "stress": 4 * 3600.0}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption(
        "--fault-seconds", type=float, help="how long the random mix of faults lasts; default 10, full 1800"
    )
    group.addoption(
        "--fault-seed", type=int, help="the seed of the random mix of faults, as an earlier run has told it"
    )


def seconds_of(config: pytest.Config) -> float:
    """Tell how long the random mix is to last."""
    chosen: float | None = config.getoption("--fault-seconds")
    return _SECONDS[config.getoption("--conformance-size")] if chosen is None else chosen


def seed_of(config: pytest.Config) -> int:
    """Tell the seed, another one in each run unless it is given."""
    chosen: int | None = config.getoption("--fault-seed")
    return secrets.randbelow(1 << 32) if chosen is None else chosen


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "random_mix: lasts as long as --fault-seconds says")
