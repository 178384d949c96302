"""Delayed messages: queues with a time to live in powers of two, and one where they come out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from fair_rabbitmq.journal.channels import Channels
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.parcel import Parcel

Republish = Callable[[Parcel], Awaitable[None]]
"""Puts a parcel at the tail of its customer's queue; returns when that is confirmed, else raises DispatcherError."""


class Delays:
    """Keeps delayed messages in the broker, and puts them back when they are due, as long as it runs."""

    def __init__(
        self,
        channels: Channels,
        journal: Journal,
        prefix: str,
        republish: Republish,
        *,
        timeout_seconds: float = 5.0,
        prefetch: int = 256,
    ) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        """Begin to put back what is due. Raises BrokerUnavailable."""

    async def close(self) -> None:
        """End all tasks; what is due meanwhile is put back by others. Idempotent, quick."""

    async def delay(self, parcels: Sequence[Parcel], due_ms: int) -> None:
        """Count the messages as delayed, then store them; the caller acks the originals when this returns.

        Writes Delayed. After an error (BrokerUnavailable) the caller keeps the originals and may call again.
        """
