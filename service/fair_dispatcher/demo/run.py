"""Runs a scenario through a dispatcher: publishes in time, lets consumers work, measures, cleans up."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from broker_core import FairDispatcher
from broker_core.errors import ConfigurationError, DispatcherError
from fair_dispatcher.demo.consumers import Access, Consumers
from fair_dispatcher.demo.errors import first_error
from fair_dispatcher.demo.lanes import Lane
from fair_dispatcher.demo.ledger import CustomerWaits, Ledger, Snapshot, Waits, jain_index
from fair_dispatcher.demo.scenario import Event, Plan, Scenario

_BATCH = 500
_TICK_SECONDS = 0.005
_SHOW_SECONDS = 0.25
_STALL_SECONDS = 30.0
_CLEAN_UP_SECONDS = 10.0
_PUBLISH_TRIES = 5

Show = Callable[[Lane, Snapshot], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a lane did with the scenario.

    quiet, flooder: waits in seconds; customers: the same of each. jain: over the equal customers.
    seconds, per_second: of the traffic and the burst. lost, duplicated: of all messages, by index.
    left: what the broker still held at the end.
    """

    lane: Lane
    messages: int
    seconds: float
    quiet: Waits
    flooder: Waits
    customers: Sequence[CustomerWaits]
    jain: float
    lost: int
    duplicated: int
    left: int

    @property
    def per_second(self) -> float:
        """Messages handed over and acked in a second."""
        return self.messages / self.seconds if self.seconds else 0.0

    @property
    def exact(self) -> bool:
        """Whether each message was handed over once and nothing is left."""
        return not (self.lost or self.duplicated or self.left)


async def run_lane(
    lane: Lane, plan: Plan, scenario: Scenario, access: Access, consumers: Consumers, show: Show
) -> Outcome:
    """Run the scenario in the lane's own namespace, which is empty before and afterwards.

    show: called four times a second. Raises DispatcherError of any kind; ConfigurationError if something
    else uses the namespace.
    """
    namespace = f"{plan.namespace}-{lane.name}"
    async with access.dispatcher(namespace) as producer:
        await _empty(producer)
        try:
            return await _Run(lane, plan, namespace, producer, consumers, show).measure(scenario)
        finally:
            with suppress(DispatcherError, TimeoutError):
                async with asyncio.timeout(_CLEAN_UP_SECONDS):
                    await _empty(producer)


class _Run:
    def __init__(
        self,
        lane: Lane,
        plan: Plan,
        namespace: str,
        producer: FairDispatcher,
        consumers: Consumers,
        show: Show,
    ) -> None:
        self._lane = lane
        self._plan = plan
        self._namespace = namespace
        self._producer = producer
        self._consumers = consumers
        self._show = show

    async def measure(self, scenario: Scenario) -> Outcome:
        name = secrets.token_hex(6)
        events = [*scenario.quiet, *scenario.burst]
        mixed, equal = Ledger(f"{name}-mixed", events), Ledger(f"{name}-equal", scenario.equal)
        with first_error():
            await self._consume(mixed, scenario.quiet, scenario.burst, show=self._show)
            await self._publish(equal, scenario.equal)
            await self._consume(equal)  # not shown: nobody floods here, and waiting is the point

        if mixed.foreign or equal.foreign:
            raise ConfigurationError(
                f"another demo uses the namespace {self._plan.namespace!r}: choose one with --namespace"
            )
        backlog = await self._producer.backlog()
        return Outcome(
            lane=self._lane,
            messages=len(events),
            seconds=mixed.seconds,
            quiet=mixed.waits(flooder=False),
            flooder=mixed.waits(flooder=True),
            customers=mixed.waits_by_customer(),
            jain=jain_index(equal.shares_of_first_half()),
            lost=mixed.lost + equal.lost,
            duplicated=mixed.duplicated + equal.duplicated,
            left=backlog.ready + backlog.leased + backlog.delayed + backlog.dead,
        )

    async def _consume(self, ledger: Ledger, *publishings: Sequence[Event], show: Show | None = None) -> None:
        """Hand everything over that the ledger expects, while these events are published in time."""
        async with self._consumers.working(self._namespace, ledger.hand_over):
            ledger.start_clock()
            async with asyncio.TaskGroup() as group:
                for events in publishings:
                    group.create_task(self._publish(ledger, events))
                await self._until_complete(ledger, show)

    async def _until_complete(self, ledger: Ledger, show: Show | None) -> None:
        """Wait until everything was handed over, or until nothing has been for half a minute."""
        last_handed_over, since = -1, time.monotonic()
        while not ledger.complete.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_SHOW_SECONDS):
                    await ledger.complete.wait()
            if show is not None:
                show(self._lane, ledger.snapshot())
            if ledger.handed_over != last_handed_over:
                last_handed_over, since = ledger.handed_over, time.monotonic()
            elif time.monotonic() - since > _STALL_SECONDS:
                return

    async def _publish(self, ledger: Ledger, events: Sequence[Event]) -> None:
        place = 0
        while place < len(events):
            due = ledger.now()
            end = place
            while end < len(events) and events[end].due <= due and end - place < _BATCH:
                end += 1
            if end > place:
                await self._publish_batch(ledger, events[place:end])
                place = end
            else:
                await asyncio.sleep(max(events[place].due - due, _TICK_SECONDS))

    async def _publish_batch(self, ledger: Ledger, events: Sequence[Event]) -> None:
        ledger.arrive(events)
        messages = [event.message(ledger.run, self._lane.customer_of(event)) for event in events]
        for remaining in reversed(range(_PUBLISH_TRIES)):
            try:
                await self._producer.publish(messages)
            except DispatcherError as error:
                if not error.retryable or not remaining:
                    raise
                await asyncio.sleep(0.5)  # safe to repeat: every message has an id
            else:
                return


async def _empty(dispatcher: FairDispatcher) -> None:
    """Remove every message of the namespace."""
    while page := await dispatcher.customers(1000):
        left = [one.customer for one in page if one.backlog.ready + one.backlog.leased + one.backlog.delayed]
        dead = [one.customer for one in page if one.backlog.dead]
        if not left and not dead:
            return
        await asyncio.gather(*map(dispatcher.purge, left), *map(dispatcher.purge_dead_letters, dead))
