"""The service reaches RabbitMQ over TLS, and only one whose certificate it trusts."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import trustme

from broker_core.conformance.polling import Deadline
from tests.servers.interface import at
from tests.service.over_http.brokers import Place, place_in
from tests.service.over_http.serving import serving


@contextlib.asynccontextmanager
async def behind_tls(url: str, authority: trustme.CA) -> AsyncIterator[int]:
    """A port that speaks TLS and passes on what it gets, to a server that doesn't."""
    server = urlsplit(url)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    passing: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        passing.add(task)
        their_reader, their_writer = await asyncio.open_connection(server.hostname, server.port)
        await asyncio.gather(pump(reader, their_writer), pump(their_reader, writer))

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        if passing:
            await asyncio.wait(passing, timeout=10)


@pytest.mark.parametrize("trusted", [True, False])
async def test_rabbitmq(
    request: pytest.FixtureRequest, tmp_path: Path, deadline: Deadline, trusted: bool
) -> None:
    plain = place_in("rabbitmq", request)
    authority = trustme.CA()
    authorities = tmp_path / "ca.pem"
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(str(authorities))
    async with behind_tls(plain.url, authority) as port:
        url = at(plain.url, "127.0.0.1", port).replace("amqp://", "amqps://", 1)
        place: Place = replace(plain, url=f"{url}?cafile={quote(str(authorities))}")
        with serving(place, tmp_path) as served:
            if not trusted:
                await deadline.until(
                    lambda: "ertificate" in f"{served.run.lines}{served.run.texts}", "a word about it"
                )
                assert served.run.ready_pids() == []
                return
            async with served.client(deadline) as client:
                answer = await client.post("/v1/customers/acme/messages", content=b"x")
                assert answer.status_code == 202
                found = await client.post("/v1/deliveries", json={"wait": 10})
                assert [one["id"] for one in found.json()["deliveries"]] == [answer.json()["id"]]
