"""Receives messages, prints their ids as JSON and holds their leases until it is killed.

Usage: python -m bench.processes.holder URL COUNT LEASE_SECONDS
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

from bench import traffic
from bench.model import Bench


async def hold(url: str, count: int, lease_seconds: float) -> None:
    """Take that many and do nothing with them."""
    bench = Bench(url=url, server_pid=0, scale=1.0)
    async with traffic.dispatcher(bench, lease_seconds=lease_seconds) as d:
        held: list[str] = []
        while len(held) < count:
            deliveries = await d.receive(count - len(held), wait=traffic.STALL_SECONDS)
            held += [delivery.id for delivery in deliveries]
        print(json.dumps(held), flush=True)
        await asyncio.Event().wait()


def main(url: str, count: str, lease_seconds: str) -> None:
    """Run it on uvloop."""
    uvloop.run(hold(url, int(count), float(lease_seconds)))


if __name__ == "__main__":
    main(*sys.argv[1:])
