"""What FairDispatcher adds to its adapter: the closed state, checks before I/O, leases that are lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from broker_core import Backlog, CustomerPolicy, Delivery, FairDispatcher, Message, open_dispatcher
from broker_core.adapter import Verb
from broker_core.errors import (
    Closed,
    InvalidArgument,
    LeaseLost,
    Unsupported,
)
from fair_memory.broker import MemoryBroker
from tests.unit.helpers import mortal, publish, until

Verbs = Callable[[FairDispatcher], Coroutine[Any, Any, object]]

VERBS: dict[str, Verbs] = {
    "publish": lambda d: d.publish([Message("a")]),
    "publish nothing": lambda d: d.publish([]),
    "receive": lambda d: d.receive(),
    "ack": lambda d: d.ack([]),
    "nack": lambda d: d.nack("receipt"),
    "release": lambda d: d.release("receipt"),
    "dead_letter": lambda d: d.dead_letter("receipt"),
    "extend": lambda d: d.extend("receipt"),
    "set_policy": lambda d: d.set_policy("a", None),
    "get_policy": lambda d: d.get_policy("a"),
    "backlog": lambda d: d.backlog(),
    "customers": lambda d: d.customers(),
    "dead_letters": lambda d: d.dead_letters(),
    "redrive": lambda d: d.redrive("a"),
    "purge": lambda d: d.purge("a"),
    "purge_dead_letters": lambda d: d.purge_dead_letters("a", ids=[]),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
async def test_no_verb_works_before_open_and_after_close(verb: Verbs) -> None:
    dispatcher, adapter = mortal()
    with pytest.raises(Closed):
        await verb(dispatcher)
    async with dispatcher:
        pass
    with pytest.raises(Closed):
        await verb(dispatcher)
    assert adapter.calls == []


@pytest.mark.parametrize(
    "call",
    [
        lambda d: d.publish(Message("")),
        lambda d: d.publish(None),
        lambda d: d.receive(0),
        lambda d: d.receive(10_001),
        lambda d: d.receive(wait=-1),
        lambda d: d.receive(wait=float("inf")),
        lambda d: d.nack("receipt", delay=-1),
        lambda d: d.nack("receipt", reason=None),
        lambda d: d.ack(None),
        lambda d: d.extend("receipt", seconds=0),
        lambda d: d.extend("receipt", seconds=90_000),
        lambda d: d.set_policy("", None),
        lambda d: d.set_policy("a", CustomerPolicy(weight=0)),
        lambda d: d.get_policy(""),
        lambda d: d.backlog(""),
        lambda d: d.customers(limit=0),
        lambda d: d.customers(limit=1001),
        lambda d: d.dead_letters(limit=0),
        lambda d: d.dead_letters(""),
        lambda d: d.redrive(""),
        lambda d: d.redrive("a", ids="1-1"),
        lambda d: d.purge(""),
        lambda d: d.purge_dead_letters("a", ids=[1]),
    ],
)
async def test_arguments_are_checked_before_any_io(
    call: Callable[[Any], Coroutine[Any, Any, object]],
) -> None:
    dispatcher, adapter = mortal()
    async with dispatcher:
        with pytest.raises(InvalidArgument):
            await call(dispatcher)
    assert adapter.calls == []


async def test_what_is_not_kept_is_refused_and_changes_nothing() -> None:
    async with mortal()[0] as dispatcher:
        with pytest.raises(Unsupported):
            await dispatcher.set_policy("a", CustomerPolicy(weight=2, rate=1.0))
        with pytest.raises(Unsupported):
            await dispatcher.publish([Message("a"), Message("a", priority=1)])
        assert await dispatcher.get_policy("a") is None
        assert await dispatcher.backlog() == Backlog()


async def test_nothing_to_do_asks_nobody() -> None:
    dispatcher, adapter = mortal()
    async with dispatcher:
        assert await dispatcher.publish([]) == []
        assert await dispatcher.extend([]) == []
        assert await dispatcher.redrive("a", ids=[]) == 0
        await dispatcher.ack([])
    assert adapter.calls == []


async def test_lost_leases_are_named_and_the_others_take_effect() -> None:
    async with mortal()[0] as dispatcher:
        await publish(dispatcher, 3)
        first, second, third = await dispatcher.receive()
        await dispatcher.release(first)
        with pytest.raises(LeaseLost) as caught:
            await dispatcher.extend([first, second])
        assert caught.value.lost == [first.receipt]
        with pytest.raises(LeaseLost) as caught:
            await dispatcher.ack([third, first, second.receipt])
        assert caught.value.lost == [first.receipt]
        assert await dispatcher.backlog() == Backlog(ready=1)
        assert dispatcher.counts["ack"] == 2
        assert dispatcher.counts["lost"] == 2


async def test_extending_tells_the_new_ends_in_order() -> None:
    async with mortal(lease_seconds=10)[0] as dispatcher:
        await publish(dispatcher, 2)
        got = await dispatcher.receive()
        ends = await dispatcher.extend(got, seconds=100)
        assert [(end - one.lease_until).total_seconds() for end, one in zip(ends, got, strict=True)] == [
            pytest.approx(90, abs=5)
        ] * 2


async def test_a_receive_that_is_cancelled_when_it_has_just_got_something_gives_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dispatcher, adapter = mortal(max_attempts=1)
    receive = adapter.receive

    async def receive_and_cancel(max_messages: int, wait_seconds: float) -> list[Delivery]:
        got = await receive(max_messages, wait_seconds)
        # Between the step that ends this call and the one that its caller wakes up in.
        asyncio.get_running_loop().call_soon(caller.cancel)
        return got

    async with dispatcher:
        await publish(dispatcher, 1)
        monkeypatch.setattr(adapter, "receive", receive_and_cancel)
        caller = asyncio.create_task(dispatcher.receive(wait=5))
        with pytest.raises(asyncio.CancelledError):
            await caller
        await until(lambda: adapter.verbs() == [Verb.RELEASE])
        monkeypatch.setattr(adapter, "receive", receive)
        (again,) = await dispatcher.receive()
        assert again.attempt == 1


async def test_cancelling_a_receive_that_waits_leaves_everything_for_the_next() -> None:
    async with mortal()[0] as dispatcher:
        waiting = asyncio.create_task(dispatcher.receive(wait=3600))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await publish(dispatcher, 1)
        assert len(await dispatcher.receive()) == 1


async def test_leases_that_ended_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker_core.dispatcher._FEWEST_HELD", 20)
    hour_ago = MemoryBroker(clock=lambda: time.time() - 3600)
    async with open_dispatcher("memory", client=hour_ago, lease_seconds=1) as dispatcher:
        await publish(dispatcher, 100)
        (kept,) = await dispatcher.receive(1)
        await dispatcher.extend(kept, 7200)
        while await dispatcher.receive(7):
            assert len(dispatcher._held) <= 20 + 7
        assert kept.receipt in dispatcher._held
