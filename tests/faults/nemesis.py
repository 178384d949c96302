"""Harm of every kind that one server and its clients can come to, each undone in the end.

A misdeed takes the scene and a source of chance, does its harm, and returns when everything is as it was.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable

from broker_core.conformance.proxy import Direction
from fair_redis_streams.library import library
from tests.faults.history import Kind
from tests.faults.scene import USER, Scene

Misdeed = Callable[[Scene, random.Random], Awaitable[None]]
_DIRECTIONS: tuple[Direction, ...] = ("to_broker", "to_client")


def _moment(chance: random.Random, longest: float) -> float:
    return 0.05 + chance.random() * (longest - 0.05)


async def suspend_server(scene: Scene, chance: random.Random) -> None:
    """The server hangs, sometimes longer than callers wait for an answer."""
    scene.server.suspend()
    try:
        await asyncio.sleep(_moment(chance, 2.0))
    finally:
        scene.server.resume()


async def kill_server(scene: Scene, chance: random.Random) -> None:
    """The server dies and is started again."""
    await scene.restart(chance.random() * 0.5)


async def kill_processes(scene: Scene, chance: random.Random) -> None:
    """Publishers or consumers die; others take their place."""
    running = scene.processes
    for child in chance.sample(running, min(len(running), chance.choice([1, 1, 2]))):
        child.send(signal.SIGKILL)


async def suspend_process(scene: Scene, chance: random.Random) -> None:
    """A publisher or a consumer hangs for longer than its leases last, and goes on as if nothing had been."""
    for child in chance.sample(scene.processes, min(len(scene.processes), 1)):
        child.suspend()
        await asyncio.sleep(_moment(chance, 2.5 * scene.settings["lease_seconds"]))
        child.resume()


async def cut(scene: Scene, _: random.Random) -> None:
    """All connections break."""
    scene.proxy.cut()


async def cut_within(scene: Scene, chance: random.Random) -> None:
    """A connection breaks in the middle of a request or an answer."""
    scene.proxy.cut_after(chance.randrange(1, 5000), chance.choice(_DIRECTIONS))
    await asyncio.sleep(0.2)


async def refuse(scene: Scene, chance: random.Random) -> None:
    """Nobody listens for a while."""
    await scene.proxy.refuse()
    await asyncio.sleep(_moment(chance, 1.0))
    await scene.proxy.accept()


async def swallow(scene: Scene, chance: random.Random) -> None:
    """What is sent in one direction disappears; calls are made whose answers are lost."""
    scene.proxy.swallow(chance.choice(_DIRECTIONS))
    await asyncio.sleep(_moment(chance, 1.5))
    await scene.proxy.accept()
    scene.proxy.cut()


async def half_open(scene: Scene, _: random.Random) -> None:
    """The server's ends of the connections die without a word."""
    scene.proxy.half_open()


async def slow_down(scene: Scene, chance: random.Random) -> None:
    """Every packet is held up."""
    scene.proxy.delay_seconds = chance.choice([0.02, 0.1, 0.2])
    await asyncio.sleep(_moment(chance, 1.5))
    scene.proxy.delay_seconds = 0.0


async def cancel_calls(scene: Scene, chance: random.Random) -> None:
    """Callers in this process give up, at whatever point their calls are."""
    for _ in range(10):
        for call in chance.sample(sorted(scene.calls, key=id), chance.randint(0, len(scene.calls))):
            call.cancel()
        for _ in range(chance.randrange(20)):
            await asyncio.sleep(0)
        await asyncio.sleep(chance.random() * 0.02)


async def fill_server(scene: Scene, chance: random.Random) -> None:
    """The server is at its memory limit for a while."""
    async with scene.admin() as client:
        await client.config_set("maxmemory", 1)
        try:
            await asyncio.sleep(_moment(chance, 1.0))
        finally:
            await client.config_set("maxmemory", 0)


async def delete_functions(scene: Scene, _: random.Random) -> None:
    """The server functions are gone."""
    async with scene.admin() as client:
        if await client.function_list(library().name):
            await client.function_delete(library().name)


async def revoke_rights(scene: Scene, chance: random.Random) -> None:
    """The user may call no function for a while."""
    async with scene.admin() as client:
        await client.acl_setuser(USER, enabled=True, commands=["-fcall"])
        try:
            await asyncio.sleep(_moment(chance, 0.6))
        finally:
            await client.acl_setuser(USER, enabled=True, commands=["+fcall"])


async def add_foreign_entry(scene: Scene, chance: random.Random) -> None:
    """Somebody else writes into a customer's stream."""
    async with scene.admin() as client:
        customer = chance.choice(["c0", "c1"])
        await client.xadd(f"{{{scene.namespace}:0}}:ready:{customer}", {"foo": str(scene.foreign)})
        scene.foreign += 1


MISDEEDS: dict[str, Misdeed] = {
    it.__name__: it
    for it in (
        suspend_server,
        kill_server,
        kill_processes,
        suspend_process,
        cut,
        cut_within,
        refuse,
        swallow,
        half_open,
        slow_down,
        cancel_calls,
        fill_server,
        delete_functions,
        revoke_rights,
        add_foreign_entry,
    )
}


async def wreak_havoc(scene: Scene, chance: random.Random, seconds: float) -> None:
    """Commit misdeeds in random order, each as often as the others, for that long; record when."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    waiting: list[str] = []
    while loop.time() < until:
        waiting = waiting or chance.sample(sorted(MISDEEDS), len(MISDEEDS))
        name = waiting.pop()
        call = scene.history.invoke("nemesis", name)
        await MISDEEDS[name](scene, chance)
        scene.history.end(call, "nemesis", name, Kind.OK)
        await asyncio.sleep(chance.random() * 0.3)
