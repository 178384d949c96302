"""Consumes until nothing is left and writes down what it got, batch by batch, with what orders the batches.

Usage: python -m bench.processes.consumer URL MAX_MESSAGES OUTPUT [LOCK]; it starts when a line is sent to it.

With LOCK, a file, receives of all processes follow one another: the lock is held during the call, and the
file counts them. Without, batches are ordered by the end of their lease, which is the server's clock at the
hand-over plus a constant; batches of one millisecond have no order among each other.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import uvloop

from bench import traffic
from bench.model import Bench
from broker_core import Delivery, FairDispatcher

EMPTY_WAIT_SECONDS = 1.0

Batch = tuple[int, list[str], list[str]]


@contextmanager
def locked(file: BinaryIO) -> Iterator[None]:
    """Hold the file's lock. It blocks the process, which has nothing else to do."""
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _take_number(file: BinaryIO) -> int:
    file.seek(0)
    number = int(file.read() or b"0") + 1
    file.seek(0)
    file.write(b"%d" % number)
    file.flush()
    return number


async def _receive(d: FairDispatcher, max_messages: int, lock: BinaryIO | None) -> tuple[int, list[Delivery]]:
    if lock is None:
        deliveries = await d.receive(max_messages, wait=EMPTY_WAIT_SECONDS)
        return (round(deliveries[0].lease_until.timestamp() * 1000) if deliveries else 0), deliveries
    with locked(lock):
        deliveries = await d.receive(max_messages, wait=EMPTY_WAIT_SECONDS)
        return _take_number(lock), deliveries


async def consume(url: str, max_messages: int, lock: BinaryIO | None) -> list[Batch]:
    """Receive and ack until a receive comes back empty; return place, customers and ids of each batch."""
    batches: list[Batch] = []
    async with traffic.dispatcher(Bench(url=url, server_pid=0, scale=1.0)) as d:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        while True:
            order, deliveries = await _receive(d, max_messages, lock)
            if not deliveries:
                break
            batches.append((order, [one.customer for one in deliveries], [one.id for one in deliveries]))
            await d.ack(deliveries)
    return batches


def main(url: str, max_messages: str, output: str, lock: str = "") -> None:
    """Run it on uvloop."""
    with Path(lock or os.devnull).open("r+b", buffering=0) as file:
        batches = uvloop.run(consume(url, int(max_messages), file if lock else None))
    Path(output).write_text(json.dumps(batches))


if __name__ == "__main__":
    main(*sys.argv[1:])
