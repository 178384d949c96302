"""The users of compose/redis-users.acl can do their part, all of it, and nothing of the others'."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from broker_core import CustomerPolicy, FairDispatcher, Message, open_dispatcher
from broker_core.conformance.sizes import Size
from broker_core.errors import DispatcherError
from tests.conformance.redis_users import acl_file, as_user
from tests.servers.redis_local import LocalRedis, debian_redis

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    file = acl_file(tmp_path_factory.mktemp("acl"))
    server = LocalRedis(debian_redis(), options=["--aclfile", str(file)])
    server.start()
    yield server
    server.stop()


async def publish(dispatcher: FairDispatcher) -> None:
    run = secrets.token_hex(4)
    await dispatcher.publish([Message(f"c{n}", b"x", id=f"{run}-{n}") for n in range(20)] * 2)


async def consume(dispatcher: FairDispatcher) -> None:
    deliveries = await dispatcher.receive(20, 5.0)
    await dispatcher.extend(deliveries)
    await dispatcher.nack(deliveries[:1])
    await dispatcher.release(deliveries[1:2])
    await dispatcher.dead_letter(deliveries[2:3])
    await dispatcher.ack(deliveries[3:])


async def steer(dispatcher: FairDispatcher) -> None:
    await dispatcher.set_policy("c1", CustomerPolicy(weight=2))
    await dispatcher.set_policy("c1", None)
    await dispatcher.customers()
    for letter in await dispatcher.dead_letters():
        await dispatcher.redrive(letter.customer)
    await dispatcher.purge("c2")


ALLOWED = {"publisher": [publish], "worker": [consume], "operator": [publish, consume, steer]}
REFUSED = {"publisher": [consume, steer], "worker": [publish, steer], "operator": []}


async def opened(server: LocalRedis, user: str, namespace: str) -> FairDispatcher:
    return await open_dispatcher("redis", as_user(server.url, user), namespace=namespace).open()


@pytest.mark.parametrize("user", ALLOWED)
async def test_each_user_does_its_part_and_no_other(server: LocalRedis, user: str) -> None:
    operator = await opened(server, "operator", f"of-{user}")
    own = await opened(server, user, f"of-{user}")
    client = Redis.from_url(server.url, decode_responses=True)
    try:
        for part in ALLOWED[user]:
            await publish(operator)
            await client.acl_log_reset()
            await part(own)
            refused = [str(entry["object"]) for entry in await client.acl_log() if entry["username"] == user]
            assert [one for one in refused if not one.startswith("client")] == []
        for other in REFUSED[user]:
            await publish(operator)
            await _refused(other, own)
    finally:
        await own.close()
        await operator.close()
        await client.aclose()


async def _refused(part: Callable[[FairDispatcher], Awaitable[None]], dispatcher: FairDispatcher) -> None:
    with pytest.raises(DispatcherError):
        await part(dispatcher)


@pytest.mark.parametrize("user", ALLOWED)
async def test_nobody_reaches_other_keys_or_dangerous_commands(server: LocalRedis, user: str) -> None:
    async with Redis.from_url(as_user(server.url, user)) as client, Redis.from_url(server.url) as everybody:
        await everybody.set("balance", "1")
        for command in (
            ["GET", "balance"], ["SET", "balance", "2"], ["FLUSHALL"], ["CONFIG", "GET", "*"], ["KEYS", "*"],
            ["EVAL", "return 1", "0"], ["FUNCTION", "FLUSH"], ["ACL", "LIST"],
            ["XADD", "stream", "*", "a", "b"], ["MONITOR"], ["SHUTDOWN"],
        ):  # fmt: skip
            with pytest.raises(Exception, match=r"NOPERM|permission|No permissions"):
                await client.execute_command(*command)  # type: ignore[no-untyped-call]


@pytest.mark.timeout(3000)
def test_the_contract_holds_under_them(size: Size) -> None:
    # The whole of it in a full run; in a short one what touches each operation once.
    chosen = [] if size.name != "short" else ["-k", "publish or giving_back or dead_letters"]
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "tests/conformance/redis_users_suite.py"),
            *("--conformance-size", size.name, *chosen),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-5000:]
    print(finished.stdout.splitlines()[-1])
