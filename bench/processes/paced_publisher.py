"""Publishes batches at a steady rate and prints its processor time and what it could not keep up with.

Usage: python -m bench.processes.paced_publisher URL RATE BATCH SECONDS CUSTOMERS
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop

from bench import traffic
from bench.model import Bench
from bench.processes.publisher import SENT_NS
from broker_core import Message

START_SECONDS = 1.0
MOST_AT_ONCE = 64


async def publish(url: str, rate: float, batch: int, seconds: float, customers: int) -> dict[str, float]:
    """Publish on schedule, whatever the broker's answer takes; a call that comes late is counted."""
    names = traffic.names(customers)
    gate = asyncio.Semaphore(MOST_AT_ONCE)
    ids = 0
    late = 0.0
    async with traffic.dispatcher(Bench(url=url, server_pid=0, scale=1.0)) as d, asyncio.TaskGroup() as group:

        async def send(number: int, due_ns: int) -> None:
            nonlocal ids
            payload = SENT_NS.pack(due_ns).ljust(len(traffic.PAYLOAD), b"x")
            messages = [
                Message(names[(number * batch + place) % customers], payload) for place in range(batch)
            ]
            stored = await d.publish(messages)
            ids += len(stored)
            gate.release()

        await asyncio.sleep(START_SECONDS)
        before, start = time.process_time(), time.perf_counter_ns()
        for number in range(round(rate * seconds / batch)):
            due = start + round(number * batch / rate * 1e9)
            if (early := due - time.perf_counter_ns()) > 0:
                await asyncio.sleep(early / 1e9)
            await gate.acquire()
            late = max(late, (time.perf_counter_ns() - due) / 1e6)
            group.create_task(send(number, due))
    elapsed = (time.perf_counter_ns() - start) / 1e9
    return {
        "published": ids,
        "rate": ids / elapsed,
        "cpu_seconds": time.process_time() - before,
        "late_ms": late,
        "seconds": elapsed,
    }


def main(url: str, rate: str, batch: str, seconds: str, customers: str) -> None:
    """Run it on uvloop."""
    print(json.dumps(uvloop.run(publish(url, float(rate), int(batch), float(seconds), int(customers)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
