"""A run of the demo measures what happens, notices what goes wrong and leaves nothing behind."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from broker_core import Backlog, FairDispatcher, Message
from broker_core.conformance.polling import Deadline
from broker_core.errors import BrokerUnavailable, ConfigurationError
from fair_dispatcher.demo import run as demo_run
from fair_dispatcher.demo.consumers import Access, Book, LocalConsumers, Work
from fair_dispatcher.demo.handover import RUN_HEADER, HandOver
from fair_dispatcher.demo.lanes import FAIR, FIFO, Lane
from fair_dispatcher.demo.ledger import Snapshot
from fair_dispatcher.demo.run import Outcome, run_lane
from fair_dispatcher.demo.scenario import Plan, Scenario, make_scenario
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


class Gated:
    """Consumers that begin when so many messages wait, and note whose they hand over, in order."""

    where = CONSUMERS.where

    def __init__(self, *waiting: int) -> None:
        self._waiting = iter(waiting)
        self.places: list[list[int]] = []

    @asynccontextmanager
    async def working(self, namespace: str, book: Book) -> AsyncIterator[None]:
        places: list[int] = []
        self.places.append(places)

        def note(told: HandOver) -> None:
            places.append(told.place)
            book(told)

        may_end = asyncio.Event()
        working = asyncio.create_task(self._work(namespace, note, next(self._waiting), may_end))
        try:
            yield
            may_end.set()
            await working
        finally:
            working.cancel()

    async def _work(self, namespace: str, book: Book, waiting: int, may_end: asyncio.Event) -> None:
        async with ACCESS.dispatcher(namespace) as dispatcher:

            async def there() -> bool:
                return (await dispatcher.backlog()).ready == waiting

            await Deadline(30).until(there, "all messages to wait")
        async with CONSUMERS.working(namespace, book):
            await may_end.wait()


def flood_first() -> Scenario:
    """All of the burst waits when the quiet customers' messages come; nothing depends on a clock."""
    events = [*SCENARIO.burst, *SCENARIO.quiet]
    events = [replace(event, index=index, due=0.0) for index, event in enumerate(events)]
    return Scenario(events, [], SCENARIO.equal, SCENARIO.seconds)


async def test_fair_serves_equally_and_fifo_does_not(plan: Plan) -> None:
    scenario = flood_first()
    flood = len(SCENARIO.burst)
    places: dict[Lane, list[int]] = {}
    outcomes: dict[Lane, Outcome] = {}
    for lane in (FAIR, FIFO):
        consumers = Gated(len(scenario.quiet), len(scenario.equal))
        outcomes[lane] = await run_lane(lane, plan, scenario, ACCESS, consumers, unseen)
        assert outcomes[lane].exact
        places[lane] = consumers.places[0]
    assert outcomes[FAIR].jain > 0.98
    assert outcomes[FIFO].jain < 0.65

    # What several consumers hold at a time may change places.
    held = 2 * PLAN.consumers * PLAN.concurrency
    assert all(place < flood for place in places[FIFO][: flood - held])
    # By the rules of deficit round robin the flooder has one visit in each round, and a customer is done
    # after as many rounds as its own messages take.
    quantum = ACCESS.dispatcher(plan.namespace).settings.quantum
    largest = max(event.arrival.cost for event in scenario.quiet)
    costs: Counter[str] = Counter()
    for event in SCENARIO.quiet:
        costs[event.customer] += event.arrival.cost
    for customer, before in flooders_before_the_last(places[FAIR], scenario).items():
        rounds = -(-costs[customer] // quantum) + 1
        assert before <= rounds * (quantum + largest) + held, customer


def flooders_before_the_last(places: list[int], scenario: Scenario) -> dict[str, int]:
    """Count, for each other customer, the flooder's messages that came before its last one."""
    flooders, found = 0, {}
    for place in places:
        event = scenario.quiet[place]
        if event.flooder:
            flooders += 1
        else:
            found[event.customer] = flooders
    return found


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
