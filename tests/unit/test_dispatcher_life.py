"""Opening and closing: once, in time, giving back what is held."""

from __future__ import annotations

import asyncio
import time

import pytest

from broker_core import Backlog, open_dispatcher
from broker_core.adapter import Verb
from broker_core.errors import (
    BrokerUnavailable,
    Closed,
)
from fair_memory.broker import MemoryBroker
from tests.unit.helpers import away, mortal, publish, until


async def test_it_is_opened_once() -> None:
    dispatcher, _ = mortal()
    async with dispatcher:
        with pytest.raises(Closed):
            await dispatcher.open()
    with pytest.raises(Closed):
        await dispatcher.open()


async def test_it_is_closed_as_often_as_one_likes_from_anywhere() -> None:
    dispatcher, _ = mortal()
    await dispatcher.open()
    await asyncio.gather(dispatcher.close(), dispatcher.close())
    await dispatcher.close()


async def test_closing_what_was_never_opened_is_no_error() -> None:
    dispatcher, _ = mortal()
    await dispatcher.close()
    with pytest.raises(Closed):
        await dispatcher.open()


async def test_a_close_that_is_cancelled_goes_on() -> None:
    dispatcher, adapter = mortal()
    await dispatcher.open()
    await publish(dispatcher, 1)
    await dispatcher.receive()
    adapter.hold.clear()
    closing = asyncio.create_task(dispatcher.close())
    await until(lambda: ("settle", 1) in adapter.calls)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    adapter.hold.set()
    await dispatcher.close()
    assert adapter.verbs() == [Verb.RELEASE]


async def test_closing_ends_a_blocked_receive_and_gives_back_what_is_held() -> None:
    client = MemoryBroker()
    dispatcher = await open_dispatcher("memory", client=client).open()
    await publish(dispatcher, 1)
    (held,) = await dispatcher.receive()
    blocked = asyncio.create_task(dispatcher.receive(wait=3600))
    await asyncio.sleep(0)
    started = time.monotonic()
    await dispatcher.close()
    with pytest.raises(Closed):
        await blocked
    assert time.monotonic() - started < 2
    async with open_dispatcher("memory", client=client) as other:
        (again,) = await other.receive()
        assert (again.id, again.attempt) == (held.id, 1)


async def test_closing_without_release_leaves_the_leases_to_end() -> None:
    client = MemoryBroker()
    dispatcher = await open_dispatcher("memory", client=client).open()
    await publish(dispatcher, 1)
    await dispatcher.receive()
    await dispatcher.close(release=False)
    async with open_dispatcher("memory", client=client) as other:
        assert await other.receive() == []
        assert await other.backlog() == Backlog(leased=1)


async def test_what_was_settled_is_not_given_back() -> None:
    dispatcher, adapter = mortal()
    async with dispatcher:
        await publish(dispatcher, 4)
        got = await dispatcher.receive()
        await dispatcher.ack(got[0])
        await dispatcher.nack(got[1], delay=60)
        await dispatcher.dead_letter(got[2])
    settlement, receipts = adapter.settled[-1]
    assert (settlement.verb, receipts) == (Verb.RELEASE, [got[3].receipt])


async def test_closing_is_quick_though_the_broker_hangs() -> None:
    dispatcher, adapter = mortal()
    await dispatcher.open()
    await publish(dispatcher, 1)
    await dispatcher.receive()
    adapter.hold.clear()
    blocked = asyncio.create_task(dispatcher.receive(wait=30))
    await asyncio.sleep(0)
    started = time.monotonic()
    await dispatcher.close()
    assert time.monotonic() - started < 2
    with pytest.raises(Closed):
        await blocked


async def test_closing_raises_nothing_though_the_broker_is_away() -> None:
    dispatcher, adapter = mortal()
    await dispatcher.open()
    await publish(dispatcher, 1)
    await dispatcher.receive()
    adapter.trouble = away()
    await dispatcher.close()
    assert ("settle", 1) in adapter.calls


async def test_an_open_that_fails_leaves_the_dispatcher_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    dispatcher, adapter = mortal()

    async def refuse() -> None:
        raise BrokerUnavailable("nobody answers")

    monkeypatch.setattr(adapter, "open", refuse)
    with pytest.raises(BrokerUnavailable):
        await dispatcher.open()
    with pytest.raises(Closed):
        await dispatcher.backlog()


async def test_closing_during_open_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    dispatcher, adapter = mortal()
    slow, really_open = asyncio.Event(), adapter.open

    async def open_slowly() -> None:
        await slow.wait()
        await really_open()

    monkeypatch.setattr(adapter, "open", open_slowly)
    opening = asyncio.create_task(dispatcher.open())
    await asyncio.sleep(0)
    await dispatcher.close()
    slow.set()
    with pytest.raises(Closed):
        await opening
    with pytest.raises(Closed):
        await dispatcher.backlog()


async def test_closing_lets_an_ack_that_is_under_way_end() -> None:
    dispatcher, adapter = mortal()
    await dispatcher.open()
    await publish(dispatcher, 2)
    first, _ = await dispatcher.receive()
    adapter.hold.clear()
    acking = asyncio.create_task(dispatcher.ack(first))
    await until(lambda: ("settle", 1) in adapter.calls)
    closing = asyncio.create_task(dispatcher.close())
    await asyncio.sleep(0.05)
    adapter.hold.set()
    await acking
    await closing
    assert adapter.verbs() == [Verb.ACK, Verb.RELEASE]
    assert adapter.sizes("settle") == [1, 1], "what was being acked was given back too"


async def test_closing_gives_back_what_a_failed_ack_left() -> None:
    dispatcher, adapter = mortal()
    await dispatcher.open()
    await publish(dispatcher, 1)
    deliveries = await dispatcher.receive()
    adapter.trouble = away()
    with pytest.raises(BrokerUnavailable):
        await dispatcher.ack(deliveries)
    adapter.trouble = None
    await dispatcher.close()
    assert adapter.verbs() == [Verb.RELEASE]
