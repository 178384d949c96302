"""Lease hash (the product) against consumer group and pending list, in the same run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import redis.asyncio

from bench import memory, traffic
from bench.designs import consumer_group
from bench.model import Bench, Case, Figure, Metrics, Scenario
from broker_core import Delivery, FairDispatcher

Design = Callable[[Bench], FairDispatcher]


def _group(bench: Bench) -> FairDispatcher:
    return consumer_group.dispatcher(bench.url, traffic.QUANTUM)


def _lease_hash(bench: Bench) -> FairDispatcher:
    return traffic.dispatcher(bench)


async def _speed(bench: Bench, design: Design, customers: int, each: int) -> Metrics:
    load = traffic.Traffic(traffic.names(bench.scaled(customers)), each)
    async with design(bench) as d:
        return await traffic.drain_after(d, load, publishers=2, consumers=2)


async def _memory(bench: Bench, design: Design, customers: int, each: int) -> Metrics:
    """Bytes of the server for a message that is ready and for one that is leased; what stays at the end."""
    load, tally = traffic.Traffic(traffic.names(bench.scaled(customers)), each), traffic.Tally()
    held: list[Delivery] = []
    async with redis.asyncio.Redis.from_url(bench.url) as server, design(bench) as d:
        before = await memory.used_bytes(server)
        await traffic.publish(d, load.batches(), tally, tasks=1)
        ready = await memory.used_bytes(server)
        while len(held) < load.total:
            deliveries = await d.receive(traffic.BATCH, wait=1.0)
            tally.take(deliveries)
            held += deliveries
        leased = await memory.used_bytes(server)
        for at in range(0, len(held), traffic.BATCH):
            await d.ack(held[at : at + traffic.BATCH])
        keys = await memory.keys(server)
        after = await memory.used_bytes(server)
    return tally.proof() | {
        "ready_bytes": (ready - before) / load.total,
        "leased_bytes": (leased - before) / load.total,
        "left_bytes": after - before,
        "left_keys": len(keys),
    }


def _scenario(name: str, customers: int, each: int) -> Scenario:
    cases, figures = [], []
    for case, label, design in (
        ("lease_hash", "lease hash", _lease_hash),
        ("group", "consumer group", _group),
    ):
        cases += [
            Case(case, partial(_speed, design=design, customers=customers, each=each)),
            Case(f"{case}_memory", partial(_memory, design=design, customers=customers, each=each)),
        ]
        figures += [
            Figure(label=f"{label}: end to end", case=case, metric="end_to_end", unit="msg/s"),
            Figure(label=f"{label}: publish alone", case=case, metric="publish", unit="msg/s"),
            Figure(label=f"{label}: receive + ack alone", case=case, metric="receive_ack", unit="msg/s"),
            Figure(label=f"{label}: a ready message", case=f"{case}_memory", metric="ready_bytes", unit="B"),
            Figure(
                label=f"{label}: a leased message", case=f"{case}_memory", metric="leased_bytes", unit="B"
            ),
            Figure(label=f"{label}: keys at the end", case=f"{case}_memory", metric="left_keys"),
        ]
    return Scenario(
        name=name,
        about=f"lease hash or consumer group, {customers:,} customers × {each}",
        cases=tuple(cases),
        figures=tuple(figures),
    )


SCENARIOS = (
    _scenario("consumer_group_1000", 1_000, 200),
    _scenario("consumer_group_100000x2", 100_000, 2),
)
