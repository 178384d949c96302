"""A consumer in a process of its own, to be killed: `python -m broker_core.conformance.worker_process JSON`.

The argument is a JSON object: `target`, the arguments of open_dispatcher; `behaviour`, one of
hold (receive and keep), ack (receive and ack), die (exit hard on the first delivery) and work (a Worker
whose handler takes `work_seconds`); `max_messages`, of a receive, or the Worker's concurrency; and
`on_signal`, to begin on SIGUSR1 only.
It tells what happens on the standard output, one JSON object a line, and ends on SIGTERM as a service would;
when it is ready and when it ends it also tells the most memory that it has used so far.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from broker_core.dispatcher import FairDispatcher
from broker_core.factory import open_dispatcher
from broker_core.model import Delivery
from broker_core.worker import Worker

_PR_SET_PDEATHSIG = 1


def tell(event: str, deliveries: Sequence[Delivery] = (), **more: int) -> None:
    """Write one line about the deliveries, and make sure that it is out before anything else happens."""
    described = [
        {
            "id": delivery.id,
            "customer": delivery.customer,
            "attempt": delivery.attempt,
            "lease_until": delivery.lease_until.isoformat(),
        }
        for delivery in deliveries
    ]
    line = json.dumps({"event": event, "deliveries": described, **more}) + "\n"
    os.write(sys.stdout.fileno(), line.encode())


def peak_bytes() -> int:
    """Return the most memory that this process has had resident."""
    status = Path("/proc/self/status")
    if status.exists():  # of this program alone; getrusage on Linux knows that of the parent too
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


async def consume(dispatcher: FairDispatcher, behaviour: str, max_messages: int) -> None:
    """Receive for ever, in one of the simple behaviours."""
    while True:
        deliveries = await dispatcher.receive(max_messages, wait=1.0)
        if not deliveries:
            continue
        tell("received", deliveries)
        if behaviour == "die":
            os._exit(3)
        if behaviour == "ack":
            await dispatcher.ack(deliveries)
            tell("acked", deliveries)


async def work(dispatcher: FairDispatcher, concurrency: int, work_seconds: float) -> None:
    """Run a Worker until SIGTERM, then let it end gracefully."""

    async def handle(delivery: Delivery) -> None:
        tell("received", [delivery])
        await asyncio.sleep(work_seconds)
        tell("finished", [delivery])

    await Worker(dispatcher, handle, concurrency=concurrency).run()


async def main(
    target: dict[str, Any], behaviour: str, max_messages: int, work_seconds: float, on_signal: bool
) -> None:
    """Consume until SIGTERM."""
    loop = asyncio.get_running_loop()
    begin = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, begin.set)
    if not on_signal:
        begin.set()
    async with open_dispatcher(**target) as dispatcher:
        if on_signal:
            tell("ready", peak_bytes=peak_bytes())
        await begin.wait()
        if behaviour == "work":
            consumer = asyncio.ensure_future(work(dispatcher, max_messages, work_seconds))
        else:
            consumer = asyncio.ensure_future(consume(dispatcher, behaviour, max_messages))
        loop.add_signal_handler(signal.SIGTERM, consumer.cancel)
        tell("ready", peak_bytes=peak_bytes())
        with contextlib.suppress(asyncio.CancelledError):
            await consumer
    tell("closed", peak_bytes=peak_bytes())


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    die_with_parent()
    asyncio.run(main(**json.loads(sys.argv[1])))
