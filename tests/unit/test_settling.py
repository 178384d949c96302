"""Ends of deliveries go to the broker in batches, acks first, one call at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from broker_core import Backlog, Delivery, FairDispatcher
from broker_core.adapter import Settlement, Verb
from broker_core.errors import BrokerUnavailable
from broker_core.outage import Outage
from broker_core.settling import ACK, RELEASE, Settling
from tests.unit.helpers import MortalAdapter, away, mortal, publish, until

log = logging.getLogger("settling-test")


@asynccontextmanager
async def settling() -> AsyncIterator[tuple[Settling, FairDispatcher, MortalAdapter, list[Delivery]]]:
    dispatcher, adapter = mortal()
    async with dispatcher:
        await publish(dispatcher, 10)
        got = await dispatcher.receive()
        ends = Settling(dispatcher, Outage(log), log)
        running = asyncio.create_task(ends.run())
        yield ends, dispatcher, adapter, got
        running.cancel()
        await asyncio.wait({running})


async def test_what_comes_together_is_one_call() -> None:
    async with settling() as (ends, dispatcher, adapter, got):
        for delivery in got:
            ends.add(ACK, delivery.receipt)
        assert ends.pending == 10
        await until(lambda: ends.pending == 0)
        assert adapter.settled == [(ACK, [delivery.receipt for delivery in got])]
        assert await dispatcher.backlog() == Backlog()


async def test_while_a_call_is_on_its_way_the_next_batch_gathers() -> None:
    async with settling() as (ends, _, adapter, got):
        adapter.hold.clear()
        for delivery in got:
            ends.add(ACK, delivery.receipt)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        adapter.hold.set()
        await until(lambda: ends.pending == 0)
        assert [size for name, size in adapter.calls if name == "settle"] == [1, 9]


async def test_acks_go_first_and_the_same_ends_go_together() -> None:
    async with settling() as (ends, dispatcher, adapter, got):
        retry, reject = Settlement(Verb.NACK, 60.0, "busy"), Settlement(Verb.DEAD_LETTER, 0.0, "bad")
        for settlement, delivery in zip([retry, reject, RELEASE, retry, ACK], got, strict=False):
            ends.add(settlement, delivery.receipt)
        await until(lambda: ends.pending == 0)
        receipts = [delivery.receipt for delivery in got]
        assert adapter.settled == [
            (ACK, receipts[4:5]),
            (retry, [receipts[0], receipts[3]]),
            (reject, receipts[1:2]),
            (RELEASE, receipts[2:3]),
        ]
        assert await dispatcher.backlog() == Backlog(ready=1, leased=5, delayed=2, dead=1)


async def test_it_outlasts_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    async with settling() as (ends, dispatcher, adapter, got):
        adapter.trouble = away()
        ends.add(ACK, got[0].receipt)
        await until(lambda: len(adapter.calls) >= 4)
        assert ends.pending == 1
        adapter.trouble = None
        await until(lambda: ends.pending == 0)
        assert (await dispatcher.backlog()).leased == 9
        assert caplog.text.count("does not answer") == 1


async def test_a_lost_lease_is_told_and_hinders_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with settling() as (ends, dispatcher, _, got):
        await dispatcher.release(got[0])
        for delivery in got[:3]:
            ends.add(ACK, delivery.receipt)
        await until(lambda: ends.pending == 0)
        assert await dispatcher.backlog() == Backlog(ready=1, leased=7)
        assert "1 of 3 leases had ended before ack" in caplog.text


async def test_an_error_that_lasts_ends_it() -> None:
    dispatcher, adapter = mortal()
    async with dispatcher:
        await publish(dispatcher, 1)
        (got,) = await dispatcher.receive()
        adapter.trouble = BrokerUnavailable("wrong password", retryable=False)
        ends = Settling(dispatcher, Outage(log), log)
        ends.add(ACK, got.receipt)
        with pytest.raises(BrokerUnavailable, match="wrong password"):
            await ends.run()


async def test_whoever_waits_for_it_is_told() -> None:
    dispatcher, _ = mortal()
    async with dispatcher:
        await publish(dispatcher, 1)
        told: list[int] = []
        ends = Settling(dispatcher, Outage(log), log, lambda: told.append(ends.pending))
        ends.add(ACK, (await dispatcher.receive())[0].receipt)
        running = asyncio.create_task(ends.run())
        await until(lambda: told == [0])
        running.cancel()
        await asyncio.wait({running})
