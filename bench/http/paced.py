"""Sends POSTs at an even rate, whether earlier ones were answered or not, and tells how long each took.

`python -m bench.http.paced HOST PORT PATH TOKEN RATE SECONDS` prints JSON. The time counts from when a
request was due, so a service that stalls can't hide it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from time import perf_counter
from typing import cast

CONNECTIONS = 32


class Client(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[bytes] | None = None
        self.transport: asyncio.Transport | None = None
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self.answered is not None and self._got.endswith(b"}"):
            self.answered.set_result(self._got[9:12])
            self._got, self.answered = b"", None


async def measure(host: str, port: int, path: str, token: str, rate: float, seconds: float) -> list[float]:
    loop = asyncio.get_running_loop()
    idle: asyncio.Queue[Client] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        _, client = await loop.create_connection(Client, host, port)
        idle.put_nowait(client)
    body = b'{"payload": "' + b"x" * 100 + b'"}'
    request = (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
    taken_ms: list[float] = []

    async def one(due: float) -> None:
        client = await idle.get()
        assert client.transport is not None
        client.answered = answered = loop.create_future()
        client.transport.write(request)
        status = await answered
        taken_ms.append((perf_counter() - due) * 1000)
        assert status == b"202", status
        idle.put_nowait(client)

    begun = perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = begun + number / rate
            if (wait := due - perf_counter()) > 0:
                await asyncio.sleep(wait)
            group.create_task(one(due))
    return sorted(taken_ms)


def main() -> None:
    host, port, path, token, rate, seconds = sys.argv[1:]
    try:
        import uvloop
    except ModuleNotFoundError:
        runner = asyncio.Runner()
    else:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with runner:
        taken = runner.run(measure(host, int(port), path, token, float(rate), float(seconds)))
    print(json.dumps({"p50_ms": taken[len(taken) // 2], "p99_ms": taken[len(taken) * 99 // 100]}))


if __name__ == "__main__":
    main()
