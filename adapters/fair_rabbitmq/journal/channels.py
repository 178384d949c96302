"""What the journal, the delays and the dead letters need of the adapter's connections."""

from __future__ import annotations

from typing import Protocol

from aio_pika.abc import AbstractChannel

from fair_rabbitmq.alarm import Alarm


class Channels(Protocol):
    """Opens channels on connections that live; whoever opened a channel closes it.

    Publishing and consuming use different connections, for a broker that is full stops reading from
    those that publish. Bounded by the adapter's time-out. Raises BrokerUnavailable.
    """

    alarm: Alarm
    """Of the connection for publishing."""

    async def publishing(self) -> AbstractChannel:
        """Open a channel with publisher confirms whose unroutable messages are errors."""

    async def consuming(self) -> AbstractChannel:
        """Open a channel for consuming."""
