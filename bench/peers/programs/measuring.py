"""What every program here does alike: reads its task, counts, prints JSON. Needs nothing but Python.

A program publishes `total` messages of 100 bytes for `customers` customers in turn, then consumes all of
them with a handler that does nothing but note which message it got. Rates are messages a second.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

BATCH = 200
PAYLOAD_BYTES = 100
STALL_SECONDS = 30.0


@dataclass(slots=True)
class Task:
    """url: of an empty server. total, customers: how many messages for how many customers.

    ended: when the last message was handled or acked, where what a program does afterwards doesn't count.
    """

    url: str
    total: int
    customers: int
    handled: list[int] = field(default_factory=list)
    ended: float | None = None

    def payload(self, number: int) -> bytes:
        """Return 100 bytes of ASCII which name the message."""
        return b"%0*d" % (PAYLOAD_BYTES, number)

    def customer(self, number: int) -> str:
        """Name the customer of a message."""
        return f"customer-{number % self.customers:06d}"

    def batches(self) -> list[range]:
        """Split the numbers of all messages."""
        return [range(at, min(at + BATCH, self.total)) for at in range(0, self.total, BATCH)]

    def handle(self, payload: bytes | str) -> None:
        """Note that a message was handled."""
        self.handled.append(int(payload))

    async def all_handled(self) -> None:
        """Wait until every message was handled; an error when nothing comes any more."""
        seen, since = -1, time.perf_counter()
        while len(self.handled) < self.total:
            if len(self.handled) != seen:
                seen, since = len(self.handled), time.perf_counter()
            elif time.perf_counter() - since > STALL_SECONDS:
                raise SystemExit(f"nothing came for {STALL_SECONDS:g} s, {self.total - seen} are missing")
            await asyncio.sleep(0.002)
        self.ended = time.perf_counter()


Step = Callable[[Task], Awaitable[float]]


def clocked(step: Callable[[Task], Awaitable[None]]) -> Step:
    """Make a step out of a function that counts until the last message was handled, or until it returns."""

    async def run(task: Task) -> float:
        start = time.perf_counter()
        await step(task)
        return (task.ended or time.perf_counter()) - start

    return run


async def nothing(task: Task) -> None:
    """Prepare nothing."""
    del task


def main(
    publish: Step,
    consume: Step,
    run: Callable[..., object] = asyncio.run,
    prepare: Callable[[Task], Awaitable[None]] = nothing,
) -> None:
    """Run both steps, which return their seconds, after what isn't measured; print what was measured."""
    task = Task(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    seconds: list[float] = []

    async def both() -> None:
        await prepare(task)
        seconds.append(await publish(task))
        seconds.append(await consume(task))

    run(both())
    publishing, consuming = seconds
    unique = set(task.handled)
    figures = {
        "publish": task.total / publishing,
        "consume": task.total / consuming,
        "lost": task.total - len(unique),
        "duplicated": len(task.handled) - len(unique),
    }
    print(json.dumps(figures))
