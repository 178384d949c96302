"""Decides what is published when: traffic in compressed time, one customer's burst, and equal backlogs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from broker_core import Message
from fair_dispatcher.demo.handover import INDEX_HEADER, RUN_HEADER
from fair_dispatcher.demo.traffic import DURATION_SECONDS, Arrival, flood

# Of the consumers' capacity, what the quiet customers need: so much that a queue in front of them hurts,
# so little that the rest soon works off the burst.
_LOAD = 0.45
# What a handler's slot needs beside the handler.
_OVERHEAD_SECONDS = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the demo does.

    consumers: each with its own dispatcher and `concurrency` handlers at a time, of handler_seconds each.
    messages, seed: of the generated traffic. burst: messages of the one customer that floods.
    equal_customers, equal_messages: who publish the same, to measure how equally they are served.
    namespace: two are made of it, with `-fair` and `-fifo` added.
    """

    consumers: int = 4
    concurrency: int = 8
    handler_seconds: float = 0.010
    messages: int = 20_000
    burst: int = 20_000
    seed: int = 7
    equal_customers: int = 20
    equal_messages: int = 200
    namespace: str = "demo"

    @property
    def capacity_per_second(self) -> float:
        """How many messages the consumers can take in a second if they have nothing else to do."""
        return self.consumers * self.concurrency / (self.handler_seconds + _OVERHEAD_SECONDS)


@dataclass(frozen=True, slots=True)
class Event:
    """One message to publish. due: seconds since the beginning of the run. customer: who really sends it."""

    index: int
    due: float
    customer: str
    flooder: bool
    arrival: Arrival

    def message(self, run: str, lane_customer: str) -> Message:
        """Make the message for a run, in the name of `lane_customer`; its id makes publishing repeatable."""
        return Message(
            customer=lane_customer,
            payload=self.arrival.payload.encode(),
            headers={**self.arrival.headers, INDEX_HEADER: str(self.index), RUN_HEADER: run},
            id=f"{run}-{self.index}",
            cost=self.arrival.cost,
        )


@dataclass(frozen=True, slots=True)
class Scenario:
    """quiet, burst: sorted by time, published side by side. equal: published before anybody consumes."""

    quiet: Sequence[Event]
    burst: Sequence[Event]
    equal: Sequence[Event]
    seconds: float

    @property
    def burst_at(self) -> float:
        """When the burst begins, in seconds."""
        return self.seconds / 3


def make_scenario(plan: Plan, traffic: Sequence[Arrival]) -> Scenario:
    """Lay the traffic out so that the quiet customers alone would use less than half of the capacity."""
    seconds = len(traffic) / (plan.capacity_per_second * _LOAD)
    length = max(DURATION_SECONDS, traffic[-1].at) if traffic else DURATION_SECONDS
    quiet = [
        Event(index, arrival.at / length * seconds, arrival.customer, False, arrival)
        for index, arrival in enumerate(traffic)
    ]
    burst = [
        Event(index, seconds / 3, arrival.customer, True, arrival)
        for index, arrival in enumerate(flood(plan.seed, plan.burst), len(quiet))
    ]
    return Scenario(quiet, burst, list(_equal(plan, traffic)), seconds)


def _equal(plan: Plan, traffic: Sequence[Arrival]) -> Iterator[Event]:
    """Each customer's messages in one go, one customer after the other; all publish the same texts."""
    texts = [traffic[number % len(traffic)] for number in range(plan.equal_messages)] if traffic else []
    for number in range(plan.equal_customers):
        for place, arrival in enumerate(texts):
            index = number * len(texts) + place
            yield Event(index, 0.0, f"equal-{number + 1:02}", False, arrival)
