from __future__ import annotations

import asyncio
import logging

import pytest

from broker_core.errors import BrokerFull, BrokerUnavailable, DispatcherError
from broker_core.outage import Outage, pause_seconds
from tests.unit.helpers import away

log = logging.getLogger("outage-test")


class Calls:
    """Fails as told, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.times: list[float] = []

    async def __call__(self) -> str:
        self.times.append(asyncio.get_running_loop().time())
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


async def test_it_calls_until_there_is_an_answer_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    call = Calls(away(), BrokerFull("no room"), away())
    assert await Outage(log).outlast(call) == "answer"
    assert len(call.times) == 4
    assert [record.getMessage() for record in caplog.records] == [
        "the broker does not answer, trying again: nobody answers",
        "the broker answers again",
    ]


async def test_between_calls_it_waits() -> None:
    call = Calls(away(), away())
    await Outage(log).outlast(call)
    first, second, third = call.times
    assert second - first >= 0.06
    assert third - second >= 0.12


async def test_a_call_that_is_answered_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert await Outage(log).outlast(Calls()) == "answer"
    assert caplog.records == []


@pytest.mark.parametrize(
    "error", [BrokerUnavailable("wrong password", retryable=False), ValueError("a bug"), DispatcherError("x")]
)
async def test_what_can_not_be_mended_by_waiting_is_raised_at_once(error: Exception) -> None:
    call = Calls(error)
    with pytest.raises(type(error)) as caught:
        await Outage(log).outlast(call)
    assert caught.value is error
    assert len(call.times) == 1


async def test_all_who_share_it_speak_once(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(log)
    await asyncio.gather(*(outage.outlast(Calls(away())) for _ in range(10)))
    assert len(caplog.records) == 2


async def test_a_new_outage_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(log)
    for _ in range(2):
        await outage.outlast(Calls(away()))
    assert len(caplog.records) == 4


async def test_it_can_be_cancelled() -> None:
    lasting = asyncio.create_task(Outage(log).outlast(Calls(*[away()] * 1000)))
    await asyncio.sleep(0.01)
    lasting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lasting


def test_pauses_grow_from_a_tenth_of_a_second_to_two_seconds() -> None:
    assert 0.08 <= pause_seconds(1) <= 0.12
    assert all(pause_seconds(attempt) <= 2.0 for attempt in range(1, 50))
    assert pause_seconds(30) >= 1.3
