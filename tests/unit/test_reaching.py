"""How often a dispatcher that opens tries to connect, and with which error it gives up."""

from __future__ import annotations

import asyncio

import pytest

from broker_core.errors import BrokerUnavailable
from broker_core.reaching import reach
from tests.unit.helpers import away


class _Broker:
    """A broker that fails so many times, each after so many seconds."""

    def __init__(
        self, failures: int, after_seconds: float = 0.0, error: BrokerUnavailable | None = None
    ) -> None:
        self.calls = 0
        self._failures = failures
        self._after_seconds = after_seconds
        self._error = error or away()

    async def connect(self) -> None:
        self.calls += 1
        if self.calls <= self._failures:
            await asyncio.sleep(self._after_seconds)
            raise self._error


async def connect(broker: _Broker, timeout_seconds: float) -> None:
    await reach(
        broker.connect, pauses_seconds=(0.01, 0.02), timeout_seconds=timeout_seconds, advice="look here"
    )


async def test_what_fails_for_a_moment_is_tried_again() -> None:
    broker = _Broker(failures=2)
    await connect(broker, 5.0)
    assert broker.calls == 3


async def test_it_gives_up_after_the_last_pause_with_advice() -> None:
    broker = _Broker(failures=9)
    with pytest.raises(BrokerUnavailable, match=r"^nobody answers: look here$") as given_up:
        await connect(broker, 5.0)
    assert broker.calls == 3
    assert given_up.value.retryable


async def test_it_gives_up_when_the_time_is_over() -> None:
    broker = _Broker(failures=9, after_seconds=0.1)
    with pytest.raises(BrokerUnavailable, match="look here"):
        await connect(broker, 0.1)
    assert broker.calls == 1


async def test_what_waiting_can_not_mend_is_told_at_once() -> None:
    refusal = BrokerUnavailable("wrong password", retryable=False)
    broker = _Broker(failures=9, error=refusal)
    with pytest.raises(BrokerUnavailable) as refused:
        await connect(broker, 5.0)
    assert refused.value is refusal
    assert broker.calls == 1
