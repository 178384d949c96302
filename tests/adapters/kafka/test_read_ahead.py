"""Payloads that are read before somebody wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from broker_core.conformance.consuming import messages
from broker_core.errors import BrokerUnavailable
from fair_kafka.cluster import Lane
from fair_kafka.errors import AnswerLost
from fair_kafka.fetching import FEWEST_CACHE_BYTES, Fetcher
from fair_kafka.ledger.commands import Ref
from fair_kafka.namespace import Namespace
from fair_kafka.partitions import Fetched, Partitions, Place
from tests.adapters.kafka.stage import Stage

NAMES = [f"customer-{number}" for number in range(8)]


class CountingPartitions(Partitions):
    """Asks those of a namespace, when `go_on` is set; fails once if `failure` is set."""

    def __init__(self, inside: Namespace) -> None:
        self.inside = inside.partitions
        self.asked = 0
        self.go_on = asyncio.Event()
        self.failure: BrokerUnavailable | None = None

    async def fetch(
        self,
        lane: Lane,
        offsets: Mapping[Place, tuple[int, int]],
        *,
        wait_seconds: float = 0.0,
        most_bytes: int,
    ) -> dict[Place, Fetched | BrokerUnavailable]:
        self.asked += 1
        await self.go_on.wait()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            return dict.fromkeys(offsets, failure)
        return await self.inside.fetch(lane, offsets, wait_seconds=wait_seconds, most_bytes=most_bytes)


async def prepared(stage: Stage) -> tuple[CountingPartitions, Fetcher, list[Ref]]:
    """Publish ten messages for each customer; return where they lie, and who reads them."""
    dispatcher, inside = await stage.dispatcher_and_inside()
    await dispatcher.publish([message for name in NAMES for message in messages(name, 10)])
    customers = inside.replica.ledger.customers
    refs = [
        Ref(0, run.partition, run.offset + at)
        for name in NAMES
        for run in customers[name].fresh
        for at in range(run.size)
    ]
    partitions = CountingPartitions(inside)
    return partitions, Fetcher(partitions, stage.names, FEWEST_CACHE_BYTES), refs


async def test_what_is_read_ahead_is_not_asked_for_again(stage: Stage) -> None:
    partitions, fetcher, refs = await prepared(stage)
    fetcher.read_ahead(refs[::10], len(NAMES))
    fetcher.read_ahead(refs[::10], len(NAMES))
    on_its_way = asyncio.ensure_future(fetcher.fetch(refs[:40]))
    await asyncio.sleep(0)
    partitions.go_on.set()
    assert set((await on_its_way).found) == set(refs[:40])
    assert set((await fetcher.fetch(refs[40:])).found) == set(refs[40:])
    assert partitions.asked == 1
    await fetcher.close()


async def test_a_shared_partition_is_read_from_the_first_that_is_wanted(stage: Stage) -> None:
    partitions, fetcher, refs = await prepared(stage)
    one_partition = [ref for ref in refs if ref.partition == refs[0].partition]
    assert len(one_partition) > 1
    partitions.go_on.set()
    fetcher.read_ahead([one_partition[0], one_partition[-1]], 2)
    assert set((await fetcher.fetch(one_partition)).found) == set(one_partition)
    assert partitions.asked == 1
    await fetcher.close()


async def test_what_could_not_be_read_ahead_is_asked_for(stage: Stage) -> None:
    partitions, fetcher, refs = await prepared(stage)
    partitions.failure = AnswerLost("cut")
    partitions.go_on.set()
    fetcher.read_ahead(refs[::10], len(NAMES))
    payloads = await fetcher.fetch(refs)
    assert set(payloads.found) == set(refs)
    assert partitions.asked == 2
    await fetcher.close()


async def test_closing_ends_what_is_being_read(stage: Stage) -> None:
    partitions, fetcher, refs = await prepared(stage)
    fetcher.read_ahead(refs[::10], len(NAMES))
    await asyncio.sleep(0)
    assert partitions.asked == 1
    await asyncio.wait_for(fetcher.close(), 1)
    await fetcher.close()
