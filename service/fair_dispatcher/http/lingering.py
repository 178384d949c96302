"""Closes connections so that the last answer arrives, also at a client that is still sending."""

from __future__ import annotations

import asyncio
from typing import Any

# A client that sends on after its answer is listened to for so long, without effect.
LINGER_SECONDS = 2.0


class LingeringTransport:
    """A transport whose `close` ends sending at once, and reading when the client ends or soon after.

    Closing a socket with something unread resets it, and that takes the answer away from a client that
    hasn't read it yet.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self.closed = False
        self._timer: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Tell whether nothing can be sent any more."""
        return self.closed or self._transport.is_closing()

    def close(self) -> None:
        """End in the way that the class describes. Idempotent."""
        if self.closed:
            return
        self.closed = True
        if not self._transport.can_write_eof():  # TLS
            self._transport.close()
            return
        self._timer = self._loop.call_later(LINGER_SECONDS, self._transport.abort)
        self._transport.write_eof()
        self._transport.resume_reading()

    def lost(self) -> None:
        """The connection is gone: there is nothing to wait for."""
        if self._timer is not None:
            self._timer.cancel()
