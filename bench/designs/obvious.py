"""The obvious design: a consumer group on each customer's stream, all streams read in each loop."""

from __future__ import annotations

import time
from collections.abc import Sequence

import redis.asyncio

from bench.traffic import PAYLOAD, QUANTUM, names

GROUP, CONSUMER = "g", "c"
CHUNK = 1000


async def run(url: str, *, known: int, active: int, each: int, measure_seconds: float) -> dict[str, float]:
    """Consume from `active` customers out of `known` ones, until they are drained or the time is over."""
    async with redis.asyncio.Redis.from_url(url, socket_timeout=60) as client:
        streams = names(known)
        await _create(client, streams)
        await _publish(client, streams[:active], each)
        command = ["XREADGROUP", "GROUP", GROUP, CONSUMER, "COUNT", QUANTUM, "STREAMS", *streams]
        command += [">"] * known
        received: list[bytes] = []
        loops = 0
        start = time.perf_counter()
        while len(received) < active * each and time.perf_counter() - start < measure_seconds:
            found = await client.execute_command(*command)  # type: ignore[no-untyped-call]
            async with client.pipeline(transaction=False) as pipe:
                for stream, entries in found:
                    ids = [entry_id for entry_id, _ in entries]
                    received += [stream + entry_id for entry_id in ids]
                    pipe.xack(stream, GROUP, *ids)
                    pipe.xdel(stream, *ids)
                await pipe.execute()
            loops += 1
        seconds = time.perf_counter() - start
        left = 0
        for stream in streams[:active]:
            left += await client.xlen(stream)
    return {
        "receive_ack": len(received) / seconds,
        "loop_ms": seconds / loops * 1000,
        "lost": active * each - left - len(received),
        "duplicated": len(received) - len(set(received)),
    }


async def _create(client: redis.asyncio.Redis, streams: Sequence[str]) -> None:
    for at in range(0, len(streams), CHUNK):
        async with client.pipeline(transaction=False) as pipe:
            for stream in streams[at : at + CHUNK]:
                pipe.xgroup_create(stream, GROUP, id="0", mkstream=True)
            await pipe.execute()


async def _publish(client: redis.asyncio.Redis, streams: Sequence[str], each: int) -> None:
    for _ in range(each):
        async with client.pipeline(transaction=False) as pipe:
            for stream in streams:
                pipe.xadd(stream, {"m": PAYLOAD})
            await pipe.execute()
