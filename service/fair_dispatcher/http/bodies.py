"""Reads bodies: of limited size, in limited time, and all together within the memory that is theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from fair_dispatcher.http import problems
from fair_dispatcher.http.asgi import Receive
from fair_dispatcher.http.problems import Problem

# A client that sends on after it was refused is listened to for so long; then the connection is closed.
_MOST_DISCARDED_BYTES = 32 << 20


class ClientGone(Exception):
    """The client has hung up: there is nobody to answer."""


class Budget:
    """The memory for bodies of all requests together."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes

    def take(self, size_bytes: int) -> None:
        """Use some. Raises Problem if there isn't as much."""
        if size_bytes > self._left:
            raise Problem(problems.OVERLOADED, "too many bodies at a time", retry_after=1, headers=_CLOSE)
        self._left -= size_bytes

    def give(self, size_bytes: int) -> None:
        """Give back what was taken."""
        self._left += size_bytes


_CLOSE = {"connection": "close"}
_AS_IT_IS = b"identity"


class Body:
    """The body of one request, read once; `held_bytes` of the budget are to be given back afterwards."""

    def __init__(self, headers: Mapping[bytes, bytes], receive: Receive, budget: Budget) -> None:
        self._headers = headers
        self._receive = receive
        self._budget = budget
        self.held_bytes = 0

    async def read(self, most_bytes: int, within_seconds: float) -> bytes:
        """Return the whole body. Raises Problem if it is larger, slower or encoded, ClientGone."""
        self._check_head(most_bytes)
        parts: list[bytes] = []
        size_bytes = 0
        try:
            async with asyncio.timeout(within_seconds):
                while True:
                    data, more = await self._next()
                    size_bytes += len(data)
                    self.hold(len(data))
                    if size_bytes > most_bytes:
                        raise self._too_large(most_bytes)
                    if not more and not parts:
                        return data
                    parts.append(data)
                    if not more:
                        return b"".join(parts)
        except TimeoutError:
            raise _too_slow(within_seconds) from None

    async def parts(
        self, most_bytes: int, part_seconds: float, within_seconds: float
    ) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises Problem, ClientGone."""
        self._check_head(most_bytes)
        size_bytes = 0
        loop = asyncio.get_running_loop()
        end = loop.time() + within_seconds
        more = True
        while more:
            try:
                async with asyncio.timeout(min(part_seconds, end - loop.time())):
                    data, more = await self._next()
            except TimeoutError:
                raise _too_slow(part_seconds) from None
            size_bytes += len(data)
            if size_bytes > most_bytes:
                raise self._too_large(most_bytes)
            yield data

    def hold(self, size_bytes: int) -> None:
        """Take from the budget, for as long as the request lasts."""
        self._budget.take(size_bytes)
        self.held_bytes += size_bytes

    def release(self, size_bytes: int | None = None) -> None:
        """Give back some of what is held, or all."""
        size_bytes = self.held_bytes if size_bytes is None else size_bytes
        self.held_bytes -= size_bytes
        self._budget.give(size_bytes)

    async def _next(self) -> tuple[bytes, bool]:
        event = await self._receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        return event.get("body", b""), event.get("more_body", False)

    def _check_head(self, most_bytes: int) -> None:
        if self._headers.get(b"content-encoding", _AS_IT_IS).strip().lower() not in (_AS_IT_IS, b""):
            raise Problem(
                problems.UNSUPPORTED_MEDIA_TYPE,
                "a body with a Content-Encoding isn't read: send it as it is",
                headers={"accept-encoding": _AS_IT_IS.decode()},
            )
        length = self._headers.get(b"content-length")
        # The server has made sure that it is a number.
        if length is not None and int(length) > most_bytes:
            raise self._too_large(most_bytes)

    def _too_large(self, most_bytes: int) -> Problem:
        length = int(self._headers.get(b"content-length", b"0"))
        headers = {} if 0 < length <= _MOST_DISCARDED_BYTES else _CLOSE
        return Problem(problems.TOO_LARGE, f"at most {most_bytes} bytes are read", headers=headers)


def _too_slow(seconds: float) -> Problem:
    return Problem(problems.TIMED_OUT, f"it had {seconds:g} seconds", headers=_CLOSE)
