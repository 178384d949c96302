"""Turns stay close together while connections break and consumers die."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

from broker_core.conformance.consuming import running
from broker_core.conformance.polling import Deadline
from broker_core.errors import DispatcherError
from tests.faults.aftermath import look_and_clean, until_drained
from tests.faults.history import Kind
from tests.faults.invariants import Rules, check, longest_gaps
from tests.faults.messages import message_of
from tests.faults.recorded import RecordedDispatcher
from tests.faults.scene import scene

LEASE_SECONDS = 1.0
MAX_ATTEMPTS = 50
CUSTOMERS = [f"c{number}" for number in range(6)]
QUANTUM, LARGEST_COST = 3, 3
CONSUMERS, BATCH = 3, 5


async def consume(dispatcher: RecordedDispatcher) -> None:
    while True:
        try:
            got = await dispatcher.receive(BATCH, wait=0.5)
            await asyncio.sleep(0.005)
            await dispatcher.ack(got)
        except DispatcherError:
            await asyncio.sleep(0.02)


async def test_turns_under_faults(redis7: object, tmp_path: Path, deadline: Deadline) -> None:
    chance = random.Random(5)
    settings: dict[str, Any] = {
        "lease_seconds": LEASE_SECONDS,
        "max_attempts": MAX_ATTEMPTS,
        "quantum": QUANTUM,
    }
    async with scene(tmp_path, **settings) as here, here.dispatcher("publisher") as publisher:
        keys = [f"{name}/p/{number}" for name in CUSTOMERS for number in range(250)]
        for start in range(0, len(keys), 500):
            await publisher.publish([message_of(key) for key in keys[start : start + 500]])
        consumers = [here.dispatcher(f"consumer{place}", through_proxy=True) for place in range(CONSUMERS)]
        for consumer in consumers:
            await consumer.open()

        async def break_things() -> None:
            while True:
                await asyncio.sleep(chance.random() * 0.05)
                here.proxy.cut_after(chance.randrange(1, 3000), chance.choice(["to_broker", "to_client"]))

        async with running(map(consume, consumers)), running([break_things()]):
            await until_drained(publisher, deadline)
        for consumer in consumers:
            await consumer.close()
        aftermath = await look_and_clean(here, publisher)
    events = here.history.events
    assert check(events, aftermath, Rules(MAX_ATTEMPTS, LEASE_SECONDS)).violations == []
    broken = sum(event.verb == "receive" and event.kind is Kind.UNKNOWN for event in events)
    assert broken > 3, "nothing went wrong"
    # A receive whose answer was lost took what nobody sees here; a consumer's next may be lost as well before
    # the first is undone.
    most = (len(CUSTOMERS) - 1) * (QUANTUM + LARGEST_COST) + 2 * CONSUMERS * BATCH
    gaps = longest_gaps(events, CUSTOMERS)
    print(f"{broken} broken receives, longest gaps {gaps}, allowed {most}")
    assert max(gaps.values()) <= most
