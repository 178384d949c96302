"""A run of the demo measures what happens, notices what goes wrong and leaves nothing behind."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from broker_core import Backlog, FairDispatcher, Message
from broker_core.errors import BrokerUnavailable, ConfigurationError
from fair_dispatcher.demo import run as demo_run
from fair_dispatcher.demo.consumers import Access, LocalConsumers, Work
from fair_dispatcher.demo.handover import RUN_HEADER
from fair_dispatcher.demo.lanes import FAIR, FIFO, Lane
from fair_dispatcher.demo.ledger import Snapshot
from fair_dispatcher.demo.run import run_lane
from fair_dispatcher.demo.scenario import Plan, make_scenario
from fair_dispatcher.demo.traffic import generate

PLAN = Plan(
    consumers=2,
    concurrency=2,
    handler_seconds=0.002,
    messages=300,
    burst=300,
    equal_customers=5,
    equal_messages=60,
)
SCENARIO = make_scenario(PLAN, generate(5, 300))


@pytest.fixture
def plan() -> Plan:
    return replace(PLAN, namespace=f"t-{secrets.token_hex(4)}")


ACCESS = Access("memory")
CONSUMERS = LocalConsumers(PLAN.consumers, ACCESS, Work(PLAN.concurrency, PLAN.handler_seconds))


def unseen(_lane: Lane, _snapshot: Snapshot) -> None:
    pass


@pytest.fixture
async def beside(plan: Plan) -> AsyncIterator[FairDispatcher]:
    """A dispatcher of somebody else in the fair lane's namespace."""
    async with ACCESS.dispatcher(f"{plan.namespace}-fair") as dispatcher:
        yield dispatcher


async def test_every_message_comes_once_and_nothing_is_left(plan: Plan, beside: FairDispatcher) -> None:
    shown: list[tuple[Lane, Snapshot]] = []
    outcome = await run_lane(FAIR, plan, SCENARIO, ACCESS, CONSUMERS, lambda *one: shown.append(one))
    assert outcome.exact
    assert outcome.messages == 600
    assert outcome.per_second > 0
    assert 0 < outcome.quiet.p50 <= outcome.quiet.p99 <= outcome.quiet.longest
    assert await beside.backlog() == Backlog()
    assert shown[-1][1].handed_over == 600
    assert shown[-1][1].customers_waiting == 0


async def test_fair_serves_equally_and_fifo_does_not(plan: Plan) -> None:
    fair = await run_lane(FAIR, plan, SCENARIO, ACCESS, CONSUMERS, unseen)
    fifo = await run_lane(FIFO, plan, SCENARIO, ACCESS, CONSUMERS, unseen)
    assert fair.exact
    assert fifo.exact
    assert fair.jain > 0.98
    assert fifo.jain < 0.65
    assert fair.quiet.p99 < fifo.quiet.p99
    assert fair.flooder.p99 > fair.quiet.p99


async def test_what_somebody_takes_away_is_lost(
    plan: Plan, beside: FairDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_run, "_STALL_SECONDS", 1.0)

    async def steal() -> None:
        stolen = await beside.receive(1, wait=10)
        await beside.ack(stolen)

    theft = asyncio.create_task(steal())
    outcome = await run_lane(FAIR, plan, SCENARIO, ACCESS, CONSUMERS, unseen)
    await theft
    assert (outcome.lost, outcome.duplicated) == (1, 0)
    assert not outcome.exact


async def test_what_comes_again_is_a_duplicate(plan: Plan, beside: FairDispatcher) -> None:
    async def double() -> None:
        (taken,) = await beside.receive(1, wait=10)
        await beside.publish(Message("zzz", headers=taken.message.headers))
        await beside.release(taken)

    doubling = asyncio.create_task(double())
    outcome = await run_lane(FAIR, plan, SCENARIO, ACCESS, CONSUMERS, unseen)
    await doubling
    assert (outcome.lost, outcome.duplicated) == (0, 1)
    assert not outcome.exact


async def test_leftovers_of_a_killed_demo_are_removed_first(plan: Plan, beside: FairDispatcher) -> None:
    await beside.publish([Message(f"customer-{number}", headers={RUN_HEADER: "old"}) for number in range(50)])
    (dead,) = await beside.receive(1, wait=10)
    await beside.dead_letter(dead)
    outcome = await run_lane(FAIR, plan, SCENARIO, ACCESS, CONSUMERS, unseen)
    assert outcome.exact


async def test_another_demo_in_the_namespace_is_named(plan: Plan, beside: FairDispatcher) -> None:
    async def publish_meanwhile() -> None:
        ours = await beside.receive(1, wait=10)
        await beside.publish(Message("customer", headers={RUN_HEADER: "another"}))
        await beside.release(ours)

    publishing = asyncio.create_task(publish_meanwhile())
    with pytest.raises(ConfigurationError, match="--namespace"):
        await run_lane(FAIR, plan, SCENARIO, ACCESS, CONSUMERS, unseen)
    await publishing


async def test_the_first_error_comes_through_and_the_namespace_is_emptied(
    plan: Plan, beside: FairDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    publish = FairDispatcher.publish

    async def fail_later(self: FairDispatcher, messages: list[Message]) -> list[str]:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise BrokerUnavailable("no rights", retryable=False)
        return await publish(self, messages)

    monkeypatch.setattr(FairDispatcher, "publish", fail_later)
    with pytest.raises(BrokerUnavailable, match="no rights"):
        await run_lane(FAIR, plan, SCENARIO, ACCESS, CONSUMERS, unseen)
    assert await beside.backlog() == Backlog()


async def test_cancelling_ends_it_at_once_and_empties_the_namespace(
    plan: Plan, beside: FairDispatcher
) -> None:
    begun = asyncio.Event()
    running = asyncio.create_task(run_lane(FAIR, plan, SCENARIO, ACCESS, CONSUMERS, lambda *_: begun.set()))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 10)
    assert await beside.backlog() == Backlog()
