"""A channel that is opened again when it is gone: for calls that depend on no earlier one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pamqp.base import Frame

from fair_rabbitmq.connection import Link
from fair_rabbitmq.wire import WireChannel


class Line:
    """One channel of a link at a time."""

    def __init__(self, link: Link, *, confirms: bool) -> None:
        self._link = link
        self._confirms = confirms
        self._channel: WireChannel | None = None
        self._opening = asyncio.Lock()

    async def channel(self) -> WireChannel:
        """Return an open channel. Bounded; raises BrokerUnavailable."""
        channel = self._channel
        if channel is not None and not channel.is_closed:
            return channel
        async with self._opening:
            channel = self._channel
            if channel is None or channel.is_closed:
                channel = await self._link.open_channel(confirms=self._confirms)
                self._channel = channel
            return channel

    async def call(self, frames: Sequence[Frame]) -> list[Frame]:
        """Send frames at once and return their answers. Bounded; raises BrokerUnavailable."""
        channel = await self.channel()
        wire = channel.connection
        return await self._link.bounded(wire, channel.call(frames))  # type: ignore[arg-type]
