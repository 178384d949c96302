"""Payloads up to the limit go through whole, one byte more is refused before the server hears of it."""

from __future__ import annotations

import hashlib

import pytest

from broker_core import Delivery, Message, open_dispatcher
from broker_core.conformance.sizes import Size
from broker_core.errors import InvalidMessage
from tests.servers.redis_local import LocalRedis

MEBIBYTE = 1 << 20


async def test_the_largest_payloads(redis7: LocalRedis, size: Size) -> None:
    limit = size.pick(short=16, full=128) * MEBIBYTE
    async with open_dispatcher(
        "redis", url=redis7.url, namespace="sizes", max_payload_bytes=limit, timeout_seconds=30.0
    ) as dispatcher:
        for count in (limit + 1, limit + MEBIBYTE):
            with pytest.raises(InvalidMessage):
                await dispatcher.publish([Message("a", b"small"), Message("a", bytes(count))])
        assert (await dispatcher.backlog()).ready == 0
        payload = hashlib.shake_128(b"seed").digest(limit)
        await dispatcher.publish([Message("a", payload), Message("a", b""), Message("b", payload)])
        got: list[Delivery] = []
        while len(got) < 3:
            more = await dispatcher.receive(10, wait=10)
            assert more, f"only {len(got)} came"
            got += more
        assert sorted((one.customer, one.message.payload == payload) for one in got) == [
            ("a", False),
            ("a", True),
            ("b", True),
        ]
        await dispatcher.ack(got)
