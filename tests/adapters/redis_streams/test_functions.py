"""Server functions: present when they are needed, under a name of their own for each release."""

import re

from redis.asyncio import Redis

from broker_core import FairDispatcher, Message
from fair_redis_streams.library import library


async def test_functions_come_back_when_the_server_lost_them(
    dispatcher: FairDispatcher, client: Redis
) -> None:
    await dispatcher.publish([Message("acme", b"1")])
    await client.function_delete(library().name)
    got = await dispatcher.receive(1)
    await client.function_delete(library().name)
    await dispatcher.ack(got)
    await client.function_delete(library().name)
    await dispatcher.publish([Message("acme", b"2")])
    await client.function_delete(library().name)
    assert await dispatcher.receive(10, wait=5)


async def test_other_libraries_are_left_alone(dispatcher: FairDispatcher, client: Redis) -> None:
    other = "#!lua name=fairdispatcher_other\nredis.register_function('fd_other_f', function() return 1 end)"
    await client.function_load(other, replace=True)
    try:
        await client.function_delete(library().name)
        await dispatcher.publish([Message("acme", b"1")])
        assert await client.fcall("fd_other_f", 0) == 1
    finally:
        await client.function_delete("fairdispatcher_other")


def test_the_name_is_the_hash_of_the_content() -> None:
    source = library().source
    assert re.fullmatch(r"fairdispatcher_[0-9a-f]{12}", library().name)
    assert source.startswith(f"#!lua name={library().name}\n")


async def test_only_publish_obeys_the_memory_limit(dispatcher: FairDispatcher, client: Redis) -> None:
    await dispatcher.backlog()
    ((_, name, _, _, _, functions),) = [
        [part for pair in entry.items() for part in pair] if isinstance(entry, dict) else entry
        for entry in await client.function_list(library().name)
    ]
    assert name.decode() == library().name
    obeying = set()
    for function in functions:
        entry = (
            function if isinstance(function, dict) else dict(zip(function[::2], function[1::2], strict=True))
        )
        flags = {flag.decode() for flag in entry[b"flags"]}
        if not flags & {"allow-oom", "no-writes"}:
            obeying.add(entry[b"name"].decode().removeprefix(library().prefix))
    assert obeying == {"publish"}
