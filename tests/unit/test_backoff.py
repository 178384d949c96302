from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_core.backoff import backoff_seconds


def delays(*attempts: int, base: float = 1.0, cap: float = 300.0, jitter: float = 0.0) -> list[float]:
    return [backoff_seconds(attempt, base=base, cap=cap, jitter=jitter) for attempt in attempts]


def test_it_doubles_with_each_attempt_up_to_the_cap() -> None:
    assert delays(1, 2, 3, 9, 10, 1000) == [1.0, 2.0, 4.0, 256.0, 300.0, 300.0]


def test_zero_is_allowed() -> None:
    assert delays(1, 5, base=0.0) == [0.0, 0.0]
    assert delays(1, 5, cap=0.0) == [0.0, 0.0]


@pytest.mark.parametrize(("unit", "expected"), [(0.0, 1.6), (0.5, 2.0), (1.0, 2.4)])
def test_jitter_is_that_part_of_the_delay_in_both_directions(unit: float, expected: float) -> None:
    delay = backoff_seconds(2, base=1.0, cap=300.0, jitter=0.2, random_unit=lambda: unit)
    assert delay == pytest.approx(expected)


def test_at_the_cap_delays_still_differ() -> None:
    assert len({backoff_seconds(20, base=1.0, cap=10.0, jitter=0.2) for _ in range(50)}) > 40


@given(
    st.integers(1, 1000),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_it_is_never_negative_nor_above_the_cap(
    attempt: int, base: float, cap: float, jitter: float, unit: float
) -> None:
    delay = backoff_seconds(attempt, base=base, cap=cap, jitter=jitter, random_unit=lambda: unit)
    assert 0 <= delay <= cap
