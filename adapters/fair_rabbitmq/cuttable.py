"""A connection that can be cut at once, whatever the client waits for."""

from __future__ import annotations

import asyncio
from typing import Any

import aio_pika
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from yarl import URL


class _Transports(TransportFactory):
    """Opens a transport as the client does, and remembers it."""

    def __init__(self, inner: TransportFactory) -> None:
        self._inner = inner
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self._writer = await self._inner.create(url, **kwargs)
        return reader, self._writer

    def cut(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


class CuttableConnection(aio_pika.Connection):
    """The client's connection; its own close waits for the broker in several places."""

    def __init__(self, url: URL) -> None:
        super().__init__(url)
        self._transports = _Transports(
            TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        )
        self.kwargs["transport_factory"] = self._transports

    def cut(self) -> None:
        """Drop the socket without a word: all that waits for it fails at once. Idempotent."""
        self._transports.cut()
