"""Knows whether the broker takes messages: under an alarm of memory or disk it reads none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from broker_core.errors import BrokerFull

# Name of what the client notes the broker's notices in; it offers no other way to hear of them.
_CLIENTS_EVENT = "_Connection__connection_unblocked"
# What was stored before the broker stopped reading is confirmed within this.
_GRACE_SECONDS = 0.1


class Alarm:
    """On from the broker's notice until it says the opposite, or confirms a message again.

    The broker tells it to a connection at the first message that it doesn't read, so that nobody knows
    of an alarm before something was sent. What was sent is stored when the alarm is over if the
    connection lives until then, or else may be.
    """

    def __init__(self) -> None:
        self.is_on = False
        self._blocked: object = None
        self._beginning: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self._ended.set()
        self._listeners: list[Callable[[], None]] = []

    def listen(self, on_end: Callable[[], None]) -> None:
        """Call this each time when the alarm is over. Must neither wait nor raise."""
        self._listeners.append(on_end)

    def watch(self, connection: Any) -> None:
        """Listen to the notices of a connection of aiormq's that is open and hasn't sent anything."""
        if isinstance(getattr(connection, _CLIENTS_EVENT, None), asyncio.Event):
            setattr(connection, _CLIENTS_EVENT, _Told(self, connection))

    def blocks(self, connection: object) -> bool:
        """Tell whether the broker has said that it reads nothing from this connection."""
        return self._blocked is connection

    def begin(self, connection: object) -> None:
        """Note that the broker reads nothing from this connection."""
        self._blocked = connection
        self.is_on = True
        self._ended.clear()
        if self._beginning is not None and not self._beginning.done():
            self._beginning.set_result(None)

    def end(self, connection: object) -> None:
        """Note that the broker reads from this connection."""
        if self._blocked is not connection:
            return
        self._blocked = None
        self._over()

    def confirmed(self) -> None:
        """Note that the broker has confirmed a message: a connection that was blocked may be lost."""
        if self.is_on and (self._blocked is None or getattr(self._blocked, "is_closed", False)):
            self._blocked = None
            self._over()

    def _over(self) -> None:
        self.is_on = False
        self._ended.set()
        for on_end in self._listeners:
            on_end()

    async def until_over(self) -> None:
        """Return when there is no alarm."""
        await self._ended.wait()

    async def first(self, work: asyncio.Future[Any]) -> bool:
        """Wait for this or for an alarm; True when it is done. Cancels nothing.

        What is under way when the alarm begins gets a moment to be confirmed.
        """
        if self._beginning is None or self._beginning.done():
            self._beginning = asyncio.get_running_loop().create_future()
            if self.is_on:
                self._beginning.set_result(None)
        await asyncio.wait({work, self._beginning}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await asyncio.wait({work}, timeout=_GRACE_SECONDS)
        return work.done()

    def check(self) -> None:
        """Raise BrokerFull under an alarm."""
        if self.is_on:
            raise full()


def full() -> BrokerFull:
    """Return the error for what needs a message to be stored now."""
    return BrokerFull("RabbitMQ has an alarm (memory or disk): it takes no messages until that is over")


class _Told(asyncio.Event):
    """Stands in for the client's event."""

    def __init__(self, alarm: Alarm, connection: object) -> None:
        super().__init__()
        super().set()
        self._alarm, self._connection = alarm, connection

    def set(self) -> None:
        super().set()
        self._alarm.end(self._connection)

    def clear(self) -> None:
        super().clear()
        self._alarm.begin(self._connection)
