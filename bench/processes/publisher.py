"""Publishes one message at a time, each with the time of its call, and prints the ids.

Usage: python -m bench.processes.publisher URL COUNT GAP_SECONDS
"""

from __future__ import annotations

import asyncio
import struct
import sys
import time

from bench import traffic
from bench.model import Bench
from broker_core import Message

CUSTOMERS = 100
START_SECONDS = 1.0
SENT_NS = struct.Struct("<q")


async def publish_spaced(url: str, count: int, gap_seconds: float) -> list[str]:
    """Publish that many, by the machine's monotonic clock, with a gap after each; return the ids."""
    names = traffic.names(CUSTOMERS)
    ids = []
    async with traffic.dispatcher(Bench(url=url, server_pid=0, scale=1.0)) as d:
        await asyncio.sleep(START_SECONDS)
        for number in range(count):
            payload = SENT_NS.pack(time.perf_counter_ns()).ljust(len(traffic.PAYLOAD), b"x")
            ids += await d.publish(Message(names[number % CUSTOMERS], payload))
            await asyncio.sleep(gap_seconds)
    return ids


if __name__ == "__main__":
    print(*asyncio.run(publish_spaced(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
