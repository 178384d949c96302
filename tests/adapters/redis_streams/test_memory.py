"""A message that was acked frees its memory, and a finished customer leaves nothing."""

import os

from redis.asyncio import Redis

from broker_core import Message, open_dispatcher
from broker_core.conformance.polling import Deadline

MEGABYTE = 1 << 20


async def used_memory(client: Redis) -> int:
    await client.memory_purge()
    return int((await client.info("memory"))["used_memory"])


async def test_memory_and_keys_return_to_where_they_were(url: str, client: Redis, namespace: str) -> None:
    async with open_dispatcher("redis", url=url, namespace=namespace, dedup_window=1.0) as dispatcher:
        await dispatcher.publish([Message("first", b"", id="1")])
        await dispatcher.ack(await dispatcher.receive(1))
        before = await used_memory(client)
        for start in range(0, 20_000, 500):
            await dispatcher.publish(
                [
                    Message(f"c{number % 5000}", os.urandom(200), id=str(number))
                    for number in range(start, start + 500)
                ]
            )
        assert await used_memory(client) > before + 4 * MEGABYTE
        acked = 0
        while got := await dispatcher.receive(1000):
            await dispatcher.ack(got)
            acked += len(got)
        assert acked == 20_000
        constant = ("meta", "deficit", "leased", "wake")
        allowed = {f"{{{namespace}:0}}:{key}".encode() for key in constant}
        await Deadline(20).until(lambda: _only(client, namespace, allowed), "the dedup window has passed")
        assert abs(await used_memory(client) - before) < MEGABYTE


async def _only(client: Redis, namespace: str, allowed: set[bytes]) -> bool:
    return {key async for key in client.scan_iter(f"{{{namespace}:*", count=1000)} <= allowed
