"""What one connection may cost: limits that uvicorn leaves to somebody in front of it."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from fair_dispatcher.http import problems
from fair_dispatcher.http.lingering import LingeringTransport
from fair_dispatcher.http.problems import MEDIA_TYPE, Kind, Problem
from fair_dispatcher.http.settings import ServiceSettings
from fair_dispatcher.http.trace import next_request_id

# So long a connection without a request is kept when the service ends: one may be on its way already.
_LAST_REQUEST_SECONDS = 1.0


class LimitedProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose heads come in time and in size, whose answers are read in time, not too many at once."""

    def __init__(self, settings: ServiceSettings, **named: Any) -> None:
        super().__init__(**named)
        self._settings = settings
        self._in_head = False
        self._head_bytes = self._raw_head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._refused = False
        self._ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; refuse when there are too many."""
        self._lingering = LingeringTransport(transport, self.loop)
        super().connection_made(self._lingering)  # type: ignore[arg-type]
        if len(self.connections) > self._settings.max_connections:
            self._refuse(problems.OVERLOADED, "too many connections", retry_after=1)
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and whatever was waited for."""
        self._lingering.lost()
        for timer in (self._head_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self._lingering.closed:
            return
        # Where a chunk begins within a head, or with one, all of it belongs to that unless the head ends.
        begins_in_head = self._in_head or self.cycle is None or self.cycle.response_complete
        super().data_received(data)
        if self._lingering.closed:
            return
        if begins_in_head and self._in_head:
            self._raw_head_bytes += len(data)
            self._check_head(self._raw_head_bytes)
        if self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
            # Something that has not become a request yet, or the rest of one that is answered already.
            self._expect_head()

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        super().on_message_begin()
        self._in_head, self._head_bytes, self._raw_head_bytes = True, 0, 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        super().on_url(url)
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        super().on_header(name, value)
        self._count_head(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """Start the request, unless its head was refused."""
        self._in_head = False
        if self._refused:
            return
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().on_headers_complete()
        if self._ending:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of the request."""
        if not self._refused:
            super().on_message_complete()

    def shutdown(self) -> None:
        """End the connection after its request; one that has none may send its last one for a moment."""
        self._ending = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(_LAST_REQUEST_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def pause_writing(self) -> None:
        """Wait for the client to read, for a limited time."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self._settings.write_seconds, self._drop)

    def resume_writing(self) -> None:
        """Go on: the client reads."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(problems.INVALID_REQUEST, "it is no HTTP/1.1")

    def _count_head(self, size_bytes: int) -> None:
        self._head_bytes += size_bytes
        self._check_head(self._head_bytes)

    def _check_head(self, size_bytes: int) -> None:
        if size_bytes > self._settings.max_head_bytes and not self._refused:
            self._refuse(problems.HEAD_TOO_LARGE, f"at most {self._settings.max_head_bytes} bytes are read")

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self._settings.head_seconds, self._drop)

    def _drop(self) -> None:
        self.transport.abort()

    def _refuse(self, kind: Kind, detail: str, retry_after: float | None = None) -> None:
        if self._refused:
            return
        self._refused = True
        body = Problem(kind, detail, retry_after=retry_after).body(next_request_id())
        self.transport.write(
            STATUS_LINE[kind.status]
            + f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n".encode()
            + (b"" if retry_after is None else b"retry-after: %d\r\n" % retry_after)
            + b"connection: close\r\n\r\n"
            + body
        )
        self.transport.close()
