"""A publisher or a consumer in a process of its own, to be killed: `python -m tests.faults.process JSON`.

The argument is a Task as JSON. Everything is recorded in the folder of the task. It ends on SIGTERM,
gracefully; with exit code 4 when the broker said something with which trying again can't help.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from broker_core.conformance.worker_process import die_with_parent
from broker_core.errors import DispatcherError
from broker_core.model import Delivery
from broker_core.worker import Reject, Retry, Worker
from tests.faults.history import History
from tests.faults.messages import message_of
from tests.faults.recorded import RecordedDispatcher

HOPELESS = 4
KILLED_BY_A_MESSAGE = 9


@dataclass(frozen=True, slots=True)
class Task:
    """What such a process does.

    target: arguments of open_dispatcher. behaviour: publish (at a rate), work (a Worker whose handler has
    moods), stall_before and stall_after (a Worker that hangs for ever before, or after, its first effect,
    unless another has), fragile (a Worker that is killed by messages of the customer "poison", and whose
    handler runs out of memory with those of "glutton"). folder: for the history `<actor>.history`, the file
    `effects` with key and attempt of each effect, and the file `stalled` as a sign.
    """

    target: dict[str, Any]
    actor: str
    behaviour: str
    folder: str
    seed: int = 0
    concurrency: int = 8
    customers: int = 8
    messages_a_second: int = 100

    def to_json(self) -> str:
        """Return the argument of the process."""
        return json.dumps(asdict(self))


class Handler:
    """What is done with a delivery, by the behaviour."""

    def __init__(self, task: Task, chance: random.Random) -> None:
        self._behaviour = task.behaviour
        self._folder = Path(task.folder)
        self._chance = chance
        self._lease_seconds = float(task.target["lease_seconds"])
        self._effects = os.open(self._folder / "effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def __call__(self, delivery: Delivery) -> None:
        """Have the effect once, at some point."""
        if self._behaviour == "work":
            await self._moody()
        elif self._behaviour == "fragile":
            self._break_on(delivery.customer)
        elif self._behaviour == "stall_before":
            await self._stall()
        os.write(self._effects, f"{delivery.message.id} {delivery.attempt}\n".encode())
        if self._behaviour == "stall_after":
            await self._stall()

    async def _moody(self) -> None:
        mood = self._chance.random()
        if mood < 0.02:
            raise Reject("no such number")
        if mood < 0.06:
            raise Retry(self._chance.random() * 0.2, "busy")
        if mood < 0.08:
            raise ValueError("a defect")
        # Sometimes so long that the lease has to be renewed.
        await asyncio.sleep(self._lease_seconds * 1.5 if mood > 0.995 else self._chance.random() * 0.01)

    def _break_on(self, customer: str) -> None:
        if customer == "poison":
            os._exit(KILLED_BY_A_MESSAGE)
        if customer == "glutton":
            raise MemoryError

    async def _stall(self) -> None:
        try:
            (self._folder / "stalled").touch(exist_ok=False)
        except FileExistsError:
            return
        await asyncio.Event().wait()


async def publish(dispatcher: RecordedDispatcher, task: Task, chance: random.Random) -> None:
    """Publish batches for ever, each again until it is confirmed; what is given up by the end is unknown."""
    for first in itertools.count(0, 10):
        batch = [
            message_of(f"c{chance.randrange(task.customers)}/{dispatcher.actor}/{number}")
            for number in range(first, first + 10)
        ]
        while True:
            try:
                await dispatcher.publish(batch)
            except DispatcherError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(0.05)
            else:
                break
        await asyncio.sleep(10 / task.messages_a_second)


async def main(task: Task) -> int:
    """Do it until SIGTERM; return the exit code."""
    chance = random.Random(task.seed)
    history = History(Path(task.folder) / f"{task.actor}.history")
    dispatcher = RecordedDispatcher.to(task.target, history, task.actor)
    try:
        async with dispatcher:
            if task.behaviour == "publish":
                work = asyncio.ensure_future(publish(dispatcher, task, chance))
            else:
                worker = Worker(
                    dispatcher, Handler(task, chance), concurrency=task.concurrency, grace_seconds=5
                )
                work = asyncio.ensure_future(worker.run())
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
            print("ready", flush=True)
            with contextlib.suppress(asyncio.CancelledError):
                await work
    except DispatcherError as error:
        print(f"ends: {error!r}", file=sys.stderr)
        return HOPELESS
    return 0


if __name__ == "__main__":
    die_with_parent()
    sys.exit(asyncio.run(main(Task(**json.loads(sys.argv[1])))))
