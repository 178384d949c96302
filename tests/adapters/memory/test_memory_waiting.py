"""A receive that waits wakes when there is something for it, and doesn't look before."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

import pytest

from broker_core import CustomerPolicy, Delivery, FairDispatcher, Message, open_dispatcher
from broker_core.settings import DispatcherSettings
from fair_memory.adapter import MemoryAdapter
from fair_memory.broker import MemoryBroker
from fair_memory.namespaces import find_namespace
from fair_memory.settings import MemorySettings
from fair_memory.waiters import Waiters

_names = itertools.count()


class CountingBroker(MemoryBroker):
    looks = 0

    def receive(self, max_messages: int, settings: DispatcherSettings) -> list[Delivery]:
        self.looks += 1
        return super().receive(max_messages, settings)


def dispatcher(broker: MemoryBroker | None = None) -> FairDispatcher:
    return open_dispatcher("memory", client=broker or MemoryBroker())


async def test_it_does_not_look_while_nothing_happens() -> None:
    broker = CountingBroker()
    async with dispatcher(broker) as d:
        assert await d.receive(wait=0.3) == []
        assert broker.looks <= 3


async def test_it_returns_after_its_wait() -> None:
    async with dispatcher() as d:
        started = time.monotonic()
        assert await d.receive(wait=0.2) == []
        assert 0.19 <= time.monotonic() - started < 2


async def nack_at_once(d: FairDispatcher, held: Delivery) -> None:
    await d.nack(held)


async def nack_with_delay(d: FairDispatcher, held: Delivery) -> None:
    await d.nack(held, delay=0.05)


async def release(d: FairDispatcher, held: Delivery) -> None:
    await d.release(held)


async def shorten_lease(d: FairDispatcher, held: Delivery) -> None:
    await d.extend(held, seconds=0.05)


async def redrive(d: FairDispatcher, held: Delivery) -> None:
    await d.dead_letter(held)
    await d.redrive(held.customer)


async def publish(d: FairDispatcher, held: Delivery) -> None:
    await d.publish(Message("other"))


async def unpause(d: FairDispatcher, held: Delivery) -> None:
    await d.set_policy("paused", None)


@pytest.mark.parametrize(
    "wake", [nack_at_once, nack_with_delay, release, shorten_lease, redrive, publish, unpause]
)
async def test_it_wakes_when_something_becomes_ready(
    wake: Callable[[FairDispatcher, Delivery], Awaitable[None]],
) -> None:
    async with dispatcher() as d:
        await d.set_policy("paused", CustomerPolicy(paused=True))
        await d.publish(Message("paused"))
        await d.publish(Message("held"))
        (held,) = await d.receive()
        waiting = asyncio.create_task(d.receive(wait=60))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await wake(d, held)
        async with asyncio.timeout(5):
            assert len(await waiting) == 1


async def test_it_wakes_when_a_lease_ends_that_began_while_it_slept() -> None:
    broker = MemoryBroker()
    async with dispatcher(broker) as sleeper:
        waiting = asyncio.create_task(sleeper.receive(wait=60))
        await asyncio.sleep(0.01)
        # In one step, so that the sleeper finds it taken when it wakes.
        briefly = MemorySettings.load(lease_seconds=0.1)
        broker.publish([Message("a")], briefly)
        (taken,) = broker.receive(1, briefly)
        async with asyncio.timeout(5):
            (again,) = await waiting
        assert (again.id, again.attempt) == (taken.id, 2)
        assert again.lease_until > taken.lease_until


async def test_many_that_wait_share_what_comes() -> None:
    async with dispatcher() as d:
        waiting = [asyncio.create_task(d.receive(1, wait=60)) for _ in range(10)]
        await asyncio.sleep(0.01)
        ids = await d.publish([Message("a") for _ in range(10)])
        async with asyncio.timeout(5):
            got = await asyncio.gather(*waiting)
        assert [delivery.id for one in got for delivery in one] == ids


async def test_a_sleeper_leaves_nothing_behind() -> None:
    waiters = Waiters()
    sleeping = asyncio.create_task(waiters.sleep(60, 0))
    await asyncio.sleep(0)
    assert len(waiters) == 1
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    assert len(waiters) == 0
    await waiters.sleep(0.01, 0)
    assert len(waiters) == 0


async def test_only_those_who_would_sleep_too_long_are_woken() -> None:
    waiters = Waiters()
    early, late = (asyncio.create_task(waiters.sleep(60, wakes_at)) for wakes_at in (10.0, 20.0))
    await asyncio.sleep(0)
    waiters.wake(due=15.0)
    await asyncio.wait({late}, timeout=5)
    assert (early.done(), late.done()) == (False, True)
    waiters.wake()
    await asyncio.wait({early}, timeout=5)
    assert early.done()


async def test_dispatchers_of_one_name_and_namespace_share_a_broker() -> None:
    name = f"memory:{next(_names)}"
    async with (
        open_dispatcher("memory", url=name, namespace="n") as one,
        open_dispatcher("memory", url=name, namespace="n") as two,
        open_dispatcher("memory", url=name, namespace="other") as elsewhere,
        open_dispatcher("memory", url=f"{name}x", namespace="n") as nowhere,
    ):
        await one.publish(Message("a"))
        assert await elsewhere.receive() == []
        assert await nowhere.receive() == []
        assert len(await two.receive()) == 1


async def test_what_is_stored_outlives_its_dispatchers_and_an_empty_broker_does_not() -> None:
    settings = MemorySettings.load(url=f"memory:{next(_names)}", namespace="n", dedup_window=0)
    key = (MemoryBroker, settings.broker_name, "n")

    def make() -> FairDispatcher:
        return FairDispatcher(MemoryAdapter(settings), settings)

    async with make() as d:
        await d.publish(Message("a"))
        await d.receive()
    assert find_namespace(key) is not None
    async with make() as d, make() as other:
        (got,) = await other.receive()
        await other.ack(got)
        await other.close()
        assert find_namespace(key) is not None
        await d.backlog()
    assert find_namespace(key) is None


async def test_a_broker_is_kept_while_it_recognises_a_key() -> None:
    settings = MemorySettings.load(url=f"memory:{next(_names)}", namespace="n", dedup_window=0.2)
    key = (MemoryBroker, settings.broker_name, "n")
    for _ in range(2):
        async with FairDispatcher(MemoryAdapter(settings), settings) as d:
            first = await d.publish(Message("a", id="k"))
            await d.ack(await d.receive())
    assert find_namespace(key) is not None
    async with asyncio.timeout(5):
        while find_namespace(key) is not None:
            await asyncio.sleep(0.02)
            async with open_dispatcher("memory", url=f"memory:{next(_names)}"):
                pass
    async with FairDispatcher(MemoryAdapter(settings), settings) as d:
        assert await d.publish(Message("a", id="k")) != first
        await d.purge("a")
