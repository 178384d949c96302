"""What docs/operating-redis.md tells operators to type works, and what it quotes exists."""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

import broker_core
import fair_redis_streams
from broker_core import CustomerPolicy, FairDispatcher, Message, open_dispatcher
from broker_core.errors import BrokerUnavailable
from fair_dispatcher.http.health import probed_namespace

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "operating-redis.md").read_text("utf-8")
SOURCES = "".join(
    file.read_text("utf-8")
    for package in (broker_core, fair_redis_streams)
    for folder in package.__path__
    for file in Path(folder).rglob("*")
    if file.suffix in {".py", ".lua"}
)
PASSWORD = "canary"


async def run(client: Redis, *command: str) -> object:
    answer: object = await client.execute_command(*command)  # type: ignore[no-untyped-call]
    return answer


async def members(client: Redis, key: str) -> list[str]:
    return [name.decode() for name in cast(list[bytes], await client.zrange(key, 0, -1))]


def section(heading: str) -> str:
    return GUIDE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def cells(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def block(language: str, start: str) -> str:
    found = re.search(rf"^```{language}\n({re.escape(start)}.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
async def full(dispatcher: FairDispatcher) -> AsyncIterator[FairDispatcher]:
    """A namespace with messages of a customer in every state."""
    await dispatcher.publish([Message("acme", b"%d" % number) for number in range(8)])
    await dispatcher.set_policy("acme", CustomerPolicy(weight=2))
    await dispatcher.set_policy("idle", CustomerPolicy(paused=True))
    got = await dispatcher.receive(5)
    await dispatcher.nack(got[0], delay=600)
    await dispatcher.dead_letter(got[1], "no number")
    await dispatcher.release(got[2])
    yield dispatcher
    await dispatcher.ack(got[3:])


async def test_the_commands_show_what_they_promise(
    full: FairDispatcher, client: Redis, namespace: str
) -> None:
    commands = [row[1].strip("`") for row in cells(section("Looking into it")) if row[1].startswith("`")][1:]
    assert len(commands) > 15
    tag = f"{{{namespace}:0}}"
    (token,) = await members(client, f"{tag}:leases")
    (ref,) = await members(client, f"{tag}:dead")
    empty = []
    for command in commands:
        filled = command.replace("{sms:0}", tag).replace("<token>", token).replace("<ref>", ref)
        if not await run(client, *shlex.split(filled)) and not command.startswith("SLOWLOG"):
            empty.append(command)
    assert not empty, "they show nothing"


async def test_the_fields_to_watch_exist(client: Redis) -> None:
    fields = [name for row in cells(section("What to watch")) for name in re.findall(r"`([a-z_]+)`", row[0])]
    assert len(fields) > 12
    info = await client.info("everything")
    only_on_replicas = {"master_link_status"}
    assert set(fields) - only_on_replicas <= set(info)


async def test_the_settings_are_accepted(client: Redis) -> None:
    for line in [*block("conf", "maxmemory").splitlines(), *block("conf", "repl-").splitlines()]:
        name, value = line.split()
        before = str((await client.config_get(name))[name])
        try:
            await client.config_set(name, value)
        finally:
            await client.config_set(name, before)


async def test_the_user_may_do_everything_in_its_namespace_and_nothing_else(url: str, client: Redis) -> None:
    command, _, rest = block("text", "ACL SETUSER").strip().partition(" sms ")
    rules = rest.replace(">PASSWORD", f">{PASSWORD}").split()
    await run(client, *command.split(), "sms", *rules)
    theirs = url.replace("redis://", f"redis://sms:{PASSWORD}@")
    try:
        await client.function_flush()  # it may load them, too
        async with open_dispatcher("redis", theirs, namespace="sms", dedup_window=60, shards=1) as d:
            await use_everything(d, client)
        probed = probed_namespace("sms")
        async with open_dispatcher("redis", theirs, namespace=probed, dedup_window=60, shards=1) as d:
            await d.publish(Message("health"))
            await d.ack(await d.receive(1, wait=5))
        with pytest.raises(BrokerUnavailable, match="right") as refused:
            await open_dispatcher("redis", theirs, namespace="other").open()
        assert not refused.value.retryable
    finally:
        await client.acl_deluser("sms")


async def use_everything(d: FairDispatcher, client: Redis) -> None:
    """Also what happens rarely: leases that end, foreign entries, a ring that has to be mended."""
    waiting = asyncio.create_task(d.receive(1, wait=5))
    await asyncio.sleep(0.1)
    await d.publish([Message("acme", b"%d" % number, id=str(number)) for number in range(10)])
    await d.ack(await waiting)
    got = await d.receive(6)
    await d.extend(got)
    await d.nack(got[0])
    await d.nack(got[1], delay=0.01)
    await d.release(got[2])
    await d.dead_letter(got[3:], "why")
    page = await d.dead_letters("acme", limit=1)
    assert len(await d.dead_letters(limit=10)) == 3
    assert await d.purge_dead_letters("acme", [page[0].id]) == 1
    assert len(await d.dead_letters("acme", limit=10, cursor=page.cursor)) == 2
    page = await d.dead_letters("acme", limit=1)
    assert len(await d.dead_letters("acme", limit=10, cursor=page.cursor)) == 1
    assert await d.redrive("acme", [page[0].id]) == 1
    assert await d.purge_dead_letters("acme") == 1
    await d.set_policy("bolt", CustomerPolicy(weight=3, paused=True))
    await d.publish(Message("bolt"))
    await client.xadd("{sms:0}:ready:cara", {"m": b""}, id=f"{(time.time_ns() // 1_000_000) + 60_000}-0")
    await d.publish(Message("cara"))
    cancelled = asyncio.create_task(d.receive(1, wait=5))
    await asyncio.sleep(0)
    cancelled.cancel()
    (renewed, *_) = await d.receive(3)
    await d.extend(renewed, 0.05)
    await asyncio.sleep(0.1)
    assert await d.receive(100, wait=5)
    assert await d.purge("acme") > 0
    await d.set_policy("bolt", None)
    assert await d.get_policy("bolt") is None
    assert await d.customers()
    assert (await d.backlog()).dead == 0
    await client.delete("{sms:0}:ring")
    assert await d._adapter._repairer.repair() > 0  # type: ignore[attr-defined]
    await d.receive(100)


@pytest.mark.parametrize(
    "command", ["GET x", "FLUSHALL", "KEYS *", "CONFIG GET *", "EVAL 1 0", "HGETALL {other:0}:meta"]
)
async def test_the_user_may_not_run_it(url: str, client: Redis, command: str) -> None:
    rules = block("text", "ACL SETUSER").strip().partition(" sms ")[2].replace(">PASSWORD", f">{PASSWORD}")
    await run(client, "ACL", "SETUSER", "sms-2", *rules.split())
    try:
        async with Redis.from_url(url.replace("redis://", f"redis://sms-2:{PASSWORD}@")) as theirs:
            with pytest.raises(ResponseError, match="permission"):
                await run(theirs, *command.split())
    finally:
        await client.acl_deluser("sms-2")


async def test_flushing_leaves_functions_and_dispatchers_alone(url: str) -> None:
    """On a database of its own, since the server is shared."""
    other = url.removesuffix("/0") + "/1"
    async with (
        Redis.from_url(other) as client,
        open_dispatcher("redis", other, namespace="flushed") as dispatcher,
    ):
        await dispatcher.publish([Message("acme") for _ in range(3)])
        held = await dispatcher.receive(2)
        before = await client.function_list("fairdispatcher*")
        await client.flushdb()
        assert await client.function_list("fairdispatcher*") == before
        await dispatcher.ack(held)
        with pytest.raises(broker_core.errors.LeaseLost):
            await dispatcher.nack(held)
        await dispatcher.publish(Message("acme", b"new"))
        assert [one.message.payload for one in await dispatcher.receive(5)] == [b"new"]
        await client.flushdb()


def test_the_errors_that_are_explained_exist() -> None:
    quoted = {
        "Redis has reached maxmemory",
        "Redis can't be reached or doesn't answer in time",
        "Redis refused the user name or password",
        "the Redis user lacks a right",
        "the customer's stream is damaged",
        "this Redis is a cluster node",
        "shards since it was created",
        "customers were put back into the ready ring",
        "undecodable entries moved to the dead letters",
        "a returned message has vanished",
        "NOREPLICAS",
        "MISCONF",
        "BUSY",
    }
    explained = section("Troubleshooting")
    for text in quoted:
        assert text in explained
        assert text in SOURCES, f"nothing says {text!r} any more"
