"""Publishers and consumers in this process: they go on whatever happens, and end deliveries in every way."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from broker_core.errors import DispatcherError, LeaseLost
from broker_core.model import Delivery
from tests.faults.messages import message_of
from tests.faults.recorded import RecordedDispatcher
from tests.faults.scene import Interrupted, Scene

_PAUSE_SECONDS = 0.05
_MOST_TRIES = 100


async def persist(scene: Scene, call: Callable[[], Awaitable[Any]]) -> Any:
    """Call until it succeeds or the lease is lost; rights that are lacking may come back too."""
    for _ in range(_MOST_TRIES):
        try:
            return await scene.call(_as_coroutine(call))
        except LeaseLost:
            return None
        except (DispatcherError, Interrupted):
            await asyncio.sleep(_PAUSE_SECONDS)
    raise AssertionError(f"no success in {_MOST_TRIES} tries")


async def _as_coroutine(call: Callable[[], Awaitable[Any]]) -> Any:
    return await call()


async def publish_for_ever(
    scene: Scene, dispatcher: RecordedDispatcher, chance: random.Random, *, customers: int
) -> None:
    """Publish batches of one to twenty, each until it is confirmed, or sometimes once only."""
    numbers = itertools.count()
    while True:
        batch = [
            message_of(f"c{chance.randrange(customers)}/{dispatcher.actor}/{next(numbers)}")
            for _ in range(chance.randint(1, 20))
        ]
        if chance.random() < 0.1:
            try:
                await scene.call(dispatcher.publish(batch))
            except (DispatcherError, Interrupted):
                await asyncio.sleep(_PAUSE_SECONDS)
        else:
            await persist(scene, lambda batch=batch: dispatcher.publish(batch))  # type: ignore[misc]
        await asyncio.sleep(chance.random() * 0.2)


async def consume_for_ever(
    scene: Scene, dispatcher: RecordedDispatcher, chance: random.Random, calm: asyncio.Event
) -> None:
    """Receive and end deliveries in every way; just ack them once it is calm."""
    while True:
        try:
            got = await scene.call(dispatcher.receive(chance.choice([1, 5, 20, 100]), wait=0.5))
        except (DispatcherError, Interrupted):
            await asyncio.sleep(_PAUSE_SECONDS)
            continue
        if calm.is_set():
            await persist(scene, lambda got=got: dispatcher.ack(got))  # type: ignore[misc]
            continue
        while got:
            count = chance.randint(1, len(got))
            await _end(scene, dispatcher, got[:count], chance)
            got = got[count:]


async def _end(
    scene: Scene, dispatcher: RecordedDispatcher, some: Sequence[Delivery], chance: random.Random
) -> None:
    lease_seconds = dispatcher.settings.lease_seconds
    fate = chance.random()
    if fate < 0.06:
        await persist(scene, lambda: dispatcher.nack(some, chance.choice([0, 0.05, 0.5]), "busy"))
    elif fate < 0.10:
        await persist(scene, lambda: dispatcher.release(some))
    elif fate < 0.12:
        await persist(scene, lambda: dispatcher.dead_letter(some, "bad number"))
    elif fate < 0.14:
        return  # forgotten: the lease ends by itself
    elif fate < 0.16:
        await asyncio.sleep(1.2 * lease_seconds)
        await persist(scene, lambda: dispatcher.ack(some))
    elif fate < 0.18:
        for _ in range(4):
            await persist(scene, lambda: dispatcher.extend(some))
            await asyncio.sleep(0.4 * lease_seconds)
        await persist(scene, lambda: dispatcher.ack(some))
    else:
        await persist(scene, lambda: dispatcher.ack(some))
