"""Leases are renewed together while they are held; one that is lost is told at once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from broker_core import Delivery, FairDispatcher
from broker_core.errors import BrokerUnavailable
from broker_core.keeping import Held, LeaseKeeper
from broker_core.outage import Outage
from tests.unit.helpers import MortalAdapter, away, mortal, publish, until

LEASE_SECONDS = 0.3


class Scene:
    """A keeper that holds ten deliveries."""

    def __init__(self, dispatcher: FairDispatcher, adapter: MortalAdapter) -> None:
        self.dispatcher, self.adapter = dispatcher, adapter
        self.lost: list[str] = []
        self.keeper = LeaseKeeper(dispatcher, Outage(logging.getLogger("keeping-test")), self.on_lost)
        self.got: list[Delivery] = []
        self.held: list[Held] = []

    def on_lost(self, held: Held) -> None:
        self.lost.append(held.delivery.receipt)

    async def hold(self) -> None:
        await publish(self.dispatcher, 10)
        requested_at = time.monotonic()
        self.got = await self.dispatcher.receive()
        self.held = self.keeper.hold(self.got, requested_at)

    def extends(self) -> list[int]:
        return [size for name, size in self.adapter.calls if name == "extend"]


@asynccontextmanager
async def scene(lease_seconds: float = LEASE_SECONDS) -> AsyncIterator[Scene]:
    dispatcher, adapter = mortal(lease_seconds=lease_seconds)
    async with dispatcher:
        stage = Scene(dispatcher, adapter)
        await stage.hold()
        running = asyncio.create_task(stage.keeper.run())
        yield stage
        running.cancel()
        await asyncio.wait({running})


async def test_all_leases_are_renewed_in_one_call_well_before_they_end() -> None:
    async with scene() as stage:
        await until(lambda: len(stage.extends()) >= 6)
        assert set(stage.extends()) == {10}
        assert datetime.now(UTC) > stage.got[0].lease_until
        assert stage.lost == []
        assert await stage.dispatcher.receive() == []
        await stage.dispatcher.ack(stage.got)


async def test_what_was_let_go_is_not_renewed() -> None:
    async with scene() as stage:
        for held in stage.held[:9]:
            stage.keeper.let_go(held)
        assert len(stage.keeper) == 1
        await until(lambda: stage.extends()[:2] == [1, 1])


async def test_nothing_held_costs_no_call() -> None:
    async with scene(lease_seconds=0.06) as stage:
        for held in stage.held:
            stage.keeper.let_go(held)
        before = len(stage.extends())
        await asyncio.sleep(0.1)
        assert len(stage.extends()) == before


async def test_the_deadline_counts_from_before_the_request() -> None:
    async with scene() as stage:
        first = stage.held[0].deadline
        stage.adapter.hold.clear()
        await until(lambda: bool(stage.extends()))
        requested_at = time.monotonic()
        await asyncio.sleep(0.05)
        stage.adapter.hold.set()
        await until(lambda: all(held.deadline > first for held in stage.held))
        assert max(held.deadline for held in stage.held) <= requested_at + LEASE_SECONDS


async def test_a_lease_that_the_broker_took_back_is_lost_and_only_that_one() -> None:
    async with scene() as stage:
        await stage.dispatcher.release(stage.got[3])
        await until(lambda: bool(stage.lost))
        assert stage.lost == [stage.got[3].receipt]
        await until(lambda: 9 in stage.extends())
        assert stage.lost == [stage.got[3].receipt]


async def test_leases_that_could_not_be_renewed_are_lost_at_their_deadline() -> None:
    async with scene() as stage:
        stage.adapter.trouble = away()
        await until(lambda: bool(stage.lost))
        assert time.monotonic() >= stage.held[0].deadline
        assert len(stage.lost) == 10
        assert time.monotonic() - stage.held[0].deadline < 5


async def test_a_renewal_that_is_never_answered_does_not_hide_the_deadline() -> None:
    async with scene() as stage:
        stage.adapter.hold.clear()
        await until(lambda: len(stage.lost) == 10)
        stage.adapter.hold.set()


async def test_a_short_outage_loses_nothing() -> None:
    async with scene(lease_seconds=1.5) as stage:
        stage.adapter.trouble = away()
        await until(lambda: len(stage.extends()) >= 2)
        stage.adapter.trouble = None
        await until(lambda: len(stage.extends()) >= 4)
        assert stage.lost == []
        await stage.dispatcher.ack(stage.got)


async def test_an_error_that_lasts_ends_it() -> None:
    dispatcher, adapter = mortal(lease_seconds=LEASE_SECONDS)
    async with dispatcher:
        stage = Scene(dispatcher, adapter)
        await stage.hold()
        adapter.trouble = BrokerUnavailable("wrong password", retryable=False)
        with pytest.raises(BrokerUnavailable, match="wrong password"):
            await stage.keeper.run()
