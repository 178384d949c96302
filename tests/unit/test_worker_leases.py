"""A worker keeps the leases of what it holds, and lets go of what is no longer its own."""

from __future__ import annotations

import asyncio
from collections import Counter

from broker_core import Backlog, Delivery, Message
from broker_core.adapter import Settlement, Verb
from tests.unit.helpers import away, mortal, publish, until, working


async def test_what_runs_or_waits_longer_than_a_lease_is_delivered_once() -> None:
    dispatcher, adapter = mortal(lease_seconds=0.15)
    seen: Counter[int] = Counter()

    async def handle(delivery: Delivery) -> None:
        seen[delivery.attempt] += 1
        await asyncio.sleep(0.3)

    async with dispatcher, working(dispatcher, handle, concurrency=2):
        await publish(dispatcher, 4)
        await until(lambda: sum(seen.values()) >= 2)
        while dispatcher.counts["ack"] < 4:
            assert await dispatcher.receive(wait=0.01) == []
        assert seen == {1: 4}
        assert 4 in adapter.sizes("extend")


async def test_a_handler_whose_lease_is_lost_is_cancelled_and_its_message_left_alone() -> None:
    dispatcher, adapter = mortal(lease_seconds=0.2)
    cancelled: list[str] = []
    go = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        try:
            await go.wait()
        except asyncio.CancelledError:
            cancelled.append(delivery.customer)
            raise

    async with dispatcher, working(dispatcher, handle):
        await dispatcher.publish([Message("a"), Message("b"), Message("c")])
        await until(lambda: bool(adapter.sizes("extend")))
        await dispatcher.purge("b")
        await until(lambda: bool(cancelled))
        assert cancelled == ["b"]
        go.set()
        await until(lambda: dispatcher.counts["ack"] == 2)
    assert {settlement.verb for settlement, _ in adapter.settled} == {Verb.ACK}
    assert sum(len(receipts) for _, receipts in adapter.settled) == 2


async def test_what_was_lost_before_it_started_never_starts() -> None:
    dispatcher, adapter = mortal(lease_seconds=0.2)
    seen: list[str] = []
    go = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery.customer)
        await go.wait()

    async with dispatcher:
        await dispatcher.publish([Message("first"), Message("second"), Message("third")])
        async with working(dispatcher, handle, concurrency=2):
            await until(lambda: len(seen) == 2)
            await dispatcher.purge("third")
            await until(lambda: adapter.sizes("extend")[-1:] == [2])
            go.set()
            await until(lambda: dispatcher.counts["ack"] == 2)
    assert seen == ["first", "second"]


async def test_a_handler_that_will_not_be_cancelled_is_not_acked() -> None:
    dispatcher, adapter = mortal(lease_seconds=0.2)
    receipts: list[str] = []
    stubborn = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        receipts.append(delivery.receipt)
        if delivery.attempt > 1:
            return
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            stubborn.set()

    async with dispatcher, working(dispatcher, handle):
        await publish(dispatcher, 1)
        await until(lambda: bool(receipts))
        adapter.concerns = {"extend"}
        adapter.trouble = away()
        async with asyncio.timeout(10):
            await stubborn.wait()
        adapter.trouble = None
        # The lease ends in the broker, and the message is delivered again.
        await until(lambda: dispatcher.counts["ack"] == 1)
        assert await dispatcher.backlog() == Backlog()
        assert [settled for _, settled in adapter.settled] == [receipts[1:]]


async def test_a_cancelled_handler_keeps_its_place_until_it_has_ended() -> None:
    dispatcher, adapter = mortal(lease_seconds=0.2)
    running, most = 0, 0
    cleaned = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            if delivery.customer == "lost":
                await asyncio.sleep(3600)
        finally:
            if delivery.customer == "lost":
                await cleaned.wait()
            running -= 1

    async with dispatcher, working(dispatcher, handle, concurrency=1):
        await dispatcher.publish([Message("lost"), Message("next")])
        await until(lambda: running == 1)
        await dispatcher.purge("lost")
        await until(lambda: len(adapter.sizes("extend")) >= 2)
        assert dispatcher.counts["ack"] == 0
        cleaned.set()
        await until(lambda: dispatcher.counts["ack"] == 1)
    assert most == 1


async def test_an_outage_shorter_than_the_lease_disturbs_nobody() -> None:
    dispatcher, adapter = mortal(lease_seconds=1.5)
    go = asyncio.Event()
    attempts: list[int] = []

    async def handle(delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        await go.wait()

    async with dispatcher, working(dispatcher, handle):
        await publish(dispatcher, 3)
        await until(lambda: len(attempts) == 3)
        adapter.trouble = away()
        await until(lambda: len(adapter.sizes("extend")) >= 2)
        adapter.trouble = None
        go.set()
        await until(lambda: dispatcher.counts["ack"] == 3)
    assert attempts == [1, 1, 1]
    assert {settlement for settlement, _ in adapter.settled} == {Settlement(Verb.ACK)}
