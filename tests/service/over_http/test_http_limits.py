"""Clients that send too slowly, too much, too often or never read are ended, and others don't notice."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker_core import Message
from broker_core.conformance.polling import Deadline
from broker_core.conformance.sizes import Size
from fair_dispatcher.serve.process import allow_files
from tests.service.over_http.brokers import Place
from tests.service.over_http.serving import Serving, make_key, serving

MOST_MEGABYTES = 400
HEAD = "POST /v1/customers/acme/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"


class Connection:
    """A connection to the service, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[Connection]:
        host, _, port = url.rpartition("/")[2].partition(":")
        connection = cls(*await asyncio.open_connection(host, int(port)))
        try:
            yield connection
        finally:
            connection.writer.close()

    def send(self, text: str | bytes) -> None:
        self.writer.write(text.encode() if isinstance(text, str) else text)

    async def rest(self) -> str:
        """All that the service sends until it closes the connection."""
        found = b""
        async with asyncio.timeout(30):
            try:
                while part := await self.reader.read(1 << 16):
                    found += part
            except ConnectionError:
                return found.decode()
        return found.decode()


def limits(**settings: float) -> dict[str, str]:
    return {f"FAIRDISPATCH_SERVICE_{name.upper()}": str(value) for name, value in settings.items()}


async def goes_on(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/customers/acme/messages", content=b"x")
    assert answer.status_code == 202


async def test_slow_and_oversized_heads_and_bodies(
    on_redis: Place, tmp_path: Path, deadline: Deadline
) -> None:
    environment = limits(head_seconds=0.5, body_seconds=0.5, idle_seconds=1, max_head_bytes=2000)
    with serving(on_redis, tmp_path, environment=environment) as served:
        async with served.client(deadline) as client:
            url, token = str(client.base_url), client.headers["authorization"].split()[1]
            head = HEAD.format(token=token)
            for nothing in ("", "POST / HT", "POST / HTTP/1.1\r\nhost: x\r\nx:", "\r\n"):
                async with Connection.to(url) as slow:
                    slow.send(nothing)
                    assert await slow.rest() == "", nothing
            async with Connection.to(url) as dripping:
                answer = asyncio.ensure_future(dripping.rest())
                while not answer.done():
                    dripping.send("\r\n")
                    await asyncio.sleep(0.05)
                assert await answer == ""
            async with Connection.to(url) as slow:
                slow.send(head + "content-length: 10\r\n\r\nabc")
                answer_text = await slow.rest()
                assert answer_text.startswith("HTTP/1.1 408")
                assert "urn:fair-dispatcher:problem:timed-out" in answer_text
            for large in (
                "GET /" + "x" * 3000 + " HTTP/1.1\r\n\r\n",
                head + "x-large: " + "x" * 3000,
                head + "a: b\r\n" * 400,
            ):
                async with Connection.to(url) as oversized:
                    oversized.send(large)
                    await asyncio.sleep(0.05)
                    oversized.send("x" * 100)
                    assert (await oversized.rest()).startswith("HTTP/1.1 431"), large[:10]
            for wrong in (
                "rubbish\r\n\r\n",
                head + "content-length: -1\r\n\r\n",
                head + "content-length: 1\r\ncontent-length: 2\r\n\r\n",
                head + "transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
                "GET /\xff HTTP/1.1\r\n\r\n",
                "CONNECT x:1 HTTP/1.1\r\n\r\n",
            ):
                async with Connection.to(url) as rubbish:
                    rubbish.send(wrong.encode("latin-1"))
                    text = await rubbish.rest()
                    assert text.startswith("HTTP/1.1 4"), (wrong, text)
                    assert "application/problem+json" in text
            await goes_on(client)
        assert served.run.events("worker process ended") == []


async def test_a_body_that_is_refused_does_not_break_the_connection(
    on_redis: Place, tmp_path: Path, deadline: Deadline
) -> None:
    with serving(on_redis, tmp_path, environment=limits(max_body_bytes=1000)) as served:
        async with served.client(deadline) as client:
            token = client.headers["authorization"].split()[1]
            async with Connection.to(str(client.base_url)) as connection:
                head = HEAD.format(token=token)
                connection.send(head + "content-length: 2000000\r\n\r\n" + "x" * 2_000_000)
                connection.send(head + "connection: close\r\ncontent-length: 1\r\n\r\nx")
                text = await connection.rest()
                assert text.startswith("HTTP/1.1 413")
                assert "HTTP/1.1 202" in text


async def test_connections_beyond_the_limit_are_refused(
    on_redis: Place, tmp_path: Path, deadline: Deadline
) -> None:
    with serving(on_redis, tmp_path, environment=limits(max_connections=5)) as served:
        url = await served.url(deadline)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(5):
                await stack.enter_async_context(Connection.to(url))

            async def refused() -> bool:
                async with Connection.to(url) as sixth:
                    return (await sixth.rest()).startswith("HTTP/1.1 503")

            await deadline.until(refused, "the sixth connection to be refused")
        async with served.client(deadline) as client:
            await goes_on(client)


async def test_a_client_that_does_not_read_is_dropped(
    on_redis: Place, tmp_path: Path, deadline: Deadline
) -> None:
    with serving(on_redis, tmp_path, environment=limits(write_seconds=0.5)) as served:
        async with served.client(deadline) as client, on_redis.dispatcher() as dispatcher:
            await dispatcher.publish([Message("acme", b"x" * 900_000)] * 8)
            token = client.headers["authorization"].split()[1]
            body = json.dumps({"max_messages": 8})
            async with Connection.to(str(client.base_url)) as connection:
                connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
                connection.send(
                    f"POST /v1/deliveries HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
                    f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
                )
                await asyncio.sleep(2)
                connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
                # What lies in the buffers of the system comes still, the rest of the answer doesn't.
                assert len(await connection.rest()) < 7_000_000
            await goes_on(client)


def megabytes(served: Serving) -> float:
    pid = served.run.ready_pids()[-1]
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


@pytest.mark.deadline(300)
@pytest.mark.timeout(400)
async def test_memory_is_bounded_and_others_go_on(
    on_redis: Place, tmp_path: Path, deadline: Deadline, size: Size
) -> None:
    polls, slow, megas = (
        size.pick(short=300, full=5000),
        size.pick(short=100, full=1000),
        size.pick(short=64, full=1024),
    )
    allow_files(2 * (polls + slow) + 500)
    with serving(on_redis, tmp_path, environment=limits(head_seconds=300, body_seconds=300)) as served:
        async with served.client(deadline) as client, contextlib.AsyncExitStack() as stack:
            url, token = str(client.base_url), client.headers["authorization"].split()[1]
            head = HEAD.format(token=token)
            body = json.dumps({"wait": 30, "max_messages": 1})
            waiting = []
            for _ in range(polls):
                one = await stack.enter_async_context(Connection.to(url))
                one.send(
                    f"POST /v1/deliveries HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
                    f"connection: close\r\ncontent-type: application/json\r\n"
                    f"content-length: {len(body)}\r\n\r\n{body}"
                )
                waiting.append(one)
            for number in range(slow):
                one = await stack.enter_async_context(Connection.to(url))
                # Some never end their head, some their body, of which a good part is there.
                one.send(head if number % 2 else f"{head}content-length: 1000000\r\n\r\n{'x' * 100_000}")
            large = await stack.enter_async_context(Connection.to(url))
            answer_to_large = asyncio.ensure_future(large.rest())
            large.send(f"{head}transfer-encoding: chunked\r\n\r\n")
            sent = 0
            chunk = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
            with contextlib.suppress(ConnectionError):
                while sent < megas:
                    large.send(chunk)
                    await large.writer.drain()
                    sent += 1
            assert (await answer_to_large).startswith("HTTP/1.1 413")
            by_length = await stack.enter_async_context(Connection.to(url))
            by_length.send(f"{head}content-length: {megas << 20}\r\n\r\n")
            assert (await by_length.reader.readline()).startswith(b"HTTP/1.1 413")
            # As many messages as polls, while everything is open.
            async with on_redis.dispatcher() as dispatcher:
                await dispatcher.publish([Message(f"c{n % 50}", b"x") for n in range(polls)])
            texts = [asyncio.ensure_future(one.rest()) for one in waiting]
            taken = 0
            for text in asyncio.as_completed(texts):
                answer: dict[str, Any] = json.loads((await text).partition("\r\n\r\n")[2])
                assert "deliveries" in answer, answer
                taken += len(answer["deliveries"])
            assert taken == polls
            assert megabytes(served) <= MOST_MEGABYTES
            print(
                f"\n{polls} long polls, {slow} slow clients, {megas} MiB of body: {megabytes(served):.0f} MB"
            )


async def test_one_key_that_floods_does_not_stop_another(
    on_redis: Place, tmp_path: Path, deadline: Deadline
) -> None:
    with serving(on_redis, tmp_path, environment=limits(rate=50, burst_seconds=1)) as served:
        url = await served.url(deadline)
        other = make_key(served.keys, "publish")
        async with served.client(deadline) as flooding:
            answers = await asyncio.gather(
                *(flooding.post("/v1/customers/acme/messages", content=b"x") for _ in range(200))
            )
            statuses = [answer.status_code for answer in answers]
            assert set(statuses) == {202, 429}
            headers = {"authorization": f"Bearer {other}"}
            async with httpx.AsyncClient(base_url=url, headers=headers) as calm:
                await goes_on(calm)
