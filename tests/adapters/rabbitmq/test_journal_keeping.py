"""What is kept during an alarm is bounded; what the client cancels is not taken for a cancelling."""

from __future__ import annotations

import asyncio

import pytest

from broker_core.errors import BrokerFull
from fair_rabbitmq.alarm import Alarm
from fair_rabbitmq.ending import cancelling_passes
from fair_rabbitmq.journal import events as e
from fair_rabbitmq.journal.keeping import Keeper


def lease(message_id: str, until: int = 1) -> e.Lease:
    return e.Lease(message_id, "acme", until)


def test_leases_are_kept_until_they_are_told() -> None:
    keeper = Keeper()
    keeper.add([lease("1"), lease("2"), lease("3")], {"1": 1, "2": 4, "3": 1})
    keeper.extend([lease("2", 9), lease("unknown", 9)])
    assert keeper.pop("3") == lease("3")
    assert (len(keeper), keeper.count("acme"), keeper.count("beta"), keeper.count(None)) == (2, 2, 0, 2)
    assert (keeper.attempts("2"), keeper.attempts("3")) == (4, 0)
    keeper.end("3")
    assert keeper.take() == (
        [e.HandedOver((lease("1"), lease("2", 9))), e.Ended(("3",))],
        ["1", "2"],
    )
    assert keeper.count("acme") == 0
    assert keeper.attempts("2") == 4  # until the journal is known to know it
    keeper.forget_attempts(["1", "2"])
    assert keeper.take() == ([], [])


def test_too_many_leases_are_refused_and_the_latest_ends_kept() -> None:
    keeper = Keeper(most_leases=2, most_ended=2)
    keeper.add([lease("1")], {"1": 1})
    with pytest.raises(BrokerFull):
        keeper.add([lease("2"), lease("3")], {"2": 1, "3": 1})
    assert (len(keeper), keeper.attempts("2")) == (1, 0)
    for number in range(4):
        keeper.end(str(number))
    assert keeper.take()[0] == [e.HandedOver((lease("1"),)), e.Ended(("2", "3"))]


async def test_an_alarm_ends_with_a_notice_or_with_a_confirm_after_its_connection_is_lost() -> None:
    class Connection:
        is_closed = False

    alarm, connection, another = Alarm(), Connection(), Connection()
    ended: list[bool] = []
    alarm.listen(lambda: ended.append(alarm.is_on))
    alarm.begin(connection)
    assert alarm.blocks(connection)
    assert not alarm.blocks(another)
    with pytest.raises(BrokerFull):
        alarm.check()
    assert not await alarm.first(asyncio.get_running_loop().create_future())
    alarm.end(another)
    alarm.confirmed()  # of what was stored before the broker stopped reading
    assert alarm.is_on
    alarm.end(connection)
    assert not alarm.is_on

    alarm.begin(another)
    another.is_closed = True
    alarm.confirmed()
    assert ended == [False, False]
    alarm.check()


async def test_the_client_s_cancelling_is_an_error_and_a_real_one_passes() -> None:
    async def wait(future: asyncio.Future[None]) -> None:
        with cancelling_passes():
            await future

    futures: list[asyncio.Future[None]] = [asyncio.get_running_loop().create_future() for _ in range(4)]
    client_s, real, *breaking = (asyncio.create_task(wait(future)) for future in futures)
    await asyncio.sleep(0)
    futures[0].cancel()
    with pytest.raises(ConnectionError):
        await client_s
    real.cancel()
    with pytest.raises(asyncio.CancelledError):
        await real
    for future, task, error in zip(futures[2:], breaking, (OSError(), Exception()), strict=True):
        future.set_exception(error)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
