"""Turns stay close together while connections break and consumers die."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from broker_core.conformance.consuming import running
from broker_core.conformance.polling import Deadline
from broker_core.errors import DispatcherError
from fair_redis_streams import keys
from fair_redis_streams.receiving import Receiver
from tests.faults.aftermath import look_and_clean, until_drained
from tests.faults.history import Kind
from tests.faults.invariants import Rules, check, longest_gaps
from tests.faults.messages import message_of
from tests.faults.recorded import RecordedDispatcher
from tests.faults.scene import Scene, scene

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


def watch_lost_answers(here: Scene, monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str]]:
    """Note what receives took whose answer was lost, before it is given back: end of the lease, customer."""
    unseen: list[tuple[float, str]] = []
    undo = Receiver._revoke_until_done

    async def look_and_undo(receiver: Receiver, shard: int, token: str) -> None:
        async with here.admin() as client:
            until = await client.zscore(keys.leases(here.namespace, shard), token)
            refs = await client.hkeys(f"{keys.tag(here.namespace, shard)}:lease:{token}")
            taken = [ref.decode() for ref in refs if isinstance(ref, bytes)]
            unseen.extend(((until or 0) / 1000, ref.partition(":")[2]) for ref in taken)
        await undo(receiver, shard, token)

    monkeypatch.setattr(Receiver, "_revoke_until_done", look_and_undo)
    return unseen


async def test_turns_under_faults(
    redis7: object, tmp_path: Path, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(5)
    settings: dict[str, Any] = {
        "lease_seconds": LEASE_SECONDS,
        "max_attempts": MAX_ATTEMPTS,
        "quantum": QUANTUM,
    }
    async with scene(tmp_path, **settings) as here, here.dispatcher("publisher") as publisher:
        unseen = watch_lost_answers(here, monkeypatch)
        sent = [f"{name}/p/{number}" for name in CUSTOMERS for number in range(250)]
        for start in range(0, len(sent), 500):
            await publisher.publish([message_of(key) for key in sent[start : start + 500]])
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
    # Receives that were answered in one millisecond have no order here; each may have any place among them.
    most = (len(CUSTOMERS) - 1) * (QUANTUM + LARGEST_COST) + CONSUMERS * BATCH
    gaps = longest_gaps(events, CUSTOMERS, unseen)
    print(f"{broken} broken receives, {len(unseen)} unseen hand-overs, longest gaps {gaps}, allowed {most}")
    assert max(gaps.values()) <= most
