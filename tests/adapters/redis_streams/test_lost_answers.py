"""A server that doesn't answer in time: what may have run isn't sent again, and it is said so."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from redis.asyncio import Redis

from broker_core import FairDispatcher, Message, open_dispatcher
from broker_core.conformance.polling import Deadline
from broker_core.conformance.proxy import TcpProxy
from broker_core.errors import BrokerUnavailable, PublishFailed
from tests.servers.redis_local import LocalRedis


@dataclass(frozen=True)
class Lost:
    observer: FairDispatcher
    proxy: TcpProxy
    publishing: asyncio.Task[list[str]]


@asynccontextmanager
async def stopped(client: Redis) -> AsyncIterator[None]:
    """Let the server do nothing, and go on afterwards."""
    pid = (await client.info("server"))["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_an_unknown_publish_is_not_sent_again(url: str, client: Redis, namespace: str) -> None:
    async with open_dispatcher("redis", url=url, namespace=namespace, timeout_seconds=0.3) as dispatcher:
        async with stopped(client):
            with pytest.raises(PublishFailed) as failed:
                await dispatcher.publish([Message("acme", b"1"), Message("acme", b"2")])
        assert failed.value.unknown == [0, 1]
        assert failed.value.retryable
        assert failed.value.__cause__ is not None
        # The server had got it, so it comes, but not twice.
        got = [*await dispatcher.receive(10, wait=5), *await dispatcher.receive(10)]
        assert [delivery.message.payload for delivery in got] == [b"1", b"2"]


@asynccontextmanager
async def answer_lost(server: LocalRedis, namespace: str, message: Message) -> AsyncIterator[Lost]:
    """Publish a message that is stored, while the answer to that is under way to nowhere."""
    proxy = await TcpProxy(server.host, server.port).start()
    through = f"redis://{proxy.host}:{proxy.port}/0"
    settings: dict[str, Any] = {"namespace": namespace, "timeout_seconds": 0.5}
    try:
        async with (
            open_dispatcher("redis", url=server.url, **settings) as observer,
            open_dispatcher("redis", url=through, **settings) as dispatcher,
        ):
            proxy.swallow("to_client")
            publishing = asyncio.create_task(dispatcher.publish(message))

            async def is_stored() -> bool:
                return (await observer.backlog()).ready > 0

            await Deadline(5).until(is_stored, "the message, stored")
            yield Lost(observer, proxy, publishing)
    finally:
        await proxy.close()


async def test_a_message_without_key_is_never_stored_twice(server: LocalRedis, namespace: str) -> None:
    """The answer is lost while the server is there to take the message once more."""
    async with answer_lost(server, namespace, Message("acme", b"1")) as lost:
        await lost.proxy.accept()
        lost.proxy.cut()
        await asyncio.wait([lost.publishing])
        assert (await lost.observer.backlog()).ready == 1
        error = lost.publishing.exception()
        assert isinstance(error, PublishFailed)
        assert error.unknown == [0]


async def test_what_may_be_stored_is_unknown_though_the_server_is_gone_then(
    server: LocalRedis, namespace: str
) -> None:
    """The answer is lost, and nobody can be asked again: that isn't the same as not having been stored."""
    async with answer_lost(server, namespace, Message("acme", b"1", id="order-1")) as lost:
        await lost.proxy.refuse()
        with pytest.raises(PublishFailed) as failed:
            await lost.publishing
        assert failed.value.unknown == [0]


async def test_what_may_be_stored_is_unknown_though_the_server_is_full_then(
    server: LocalRedis, client: Redis, namespace: str
) -> None:
    async with answer_lost(server, namespace, Message("acme", b"1", id="order-1")) as lost:
        await client.config_set("maxmemory", 1)
        try:
            await lost.proxy.accept()
            lost.proxy.cut()
            with pytest.raises(PublishFailed) as failed:
                await lost.publishing
            assert failed.value.unknown == [0]
        finally:
            await client.config_set("maxmemory", 0)


async def test_with_keys_it_is_sent_again_and_stored_once(url: str, client: Redis, namespace: str) -> None:
    async with open_dispatcher("redis", url=url, namespace=namespace, timeout_seconds=0.3) as dispatcher:
        async with stopped(client):
            publishing = asyncio.create_task(dispatcher.publish([Message("acme", b"1", id="order-1")]))
            await asyncio.sleep(0.5)
        (stored,) = await publishing
        assert await dispatcher.publish([Message("acme", b"1", id="order-1")]) == [stored]
        assert len(await dispatcher.receive(10)) == 1


async def test_a_receive_whose_answer_was_lost_costs_nothing(url: str, client: Redis, namespace: str) -> None:
    settings: dict[str, Any] = {"url": url, "namespace": namespace, "timeout_seconds": 0.3, "max_attempts": 1}
    async with open_dispatcher("redis", **settings) as dispatcher:
        await dispatcher.publish([Message("acme", b"%d" % number) for number in range(5)])
        async with stopped(client):
            with pytest.raises(BrokerUnavailable):
                await dispatcher.receive(5)
        began = time.monotonic()
        got = await dispatcher.receive(5, wait=10)
        assert [(d.message.payload, d.attempt) for d in got] == [(b"%d" % number, 1) for number in range(5)]
        assert time.monotonic() - began < dispatcher.settings.lease_seconds / 2


async def test_a_receive_that_reaches_the_server_after_it_was_given_up(
    client: Redis, dispatcher: object, namespace: str
) -> None:
    from fair_redis_streams.library import library

    meta = f"{{{namespace}:0}}:meta"
    token = "given-up-token"
    assert await client.fcall(library().function("revoke").decode(), 1, meta, token, 60_000) == 1
    arguments = [token, 30_000, 10, 10, 1 << 20, 5, 1000, 0]
    assert await client.fcall(library().function("receive").decode(), 1, meta, *arguments) == [0, -1, 0]
