"""The journal in the broker: one stream, appended to and followed."""

from __future__ import annotations

from collections.abc import Callable

from fair_rabbitmq.journal.channels import Channels
from fair_rabbitmq.journal.events import Event
from fair_rabbitmq.journal.replica import Replica

Listener = Callable[[str, Event], None]
"""Called with the writing dispatcher and each event, own ones included, after the replica took it in.

Not called for what was there before `start` returned. Must not raise and must not wait.
"""


class Journal:
    """Appends events and keeps a replica of all that was ever appended; one object a dispatcher."""

    replica: Replica
    dispatcher: str

    def __init__(
        self,
        channels: Channels,
        stream: str,
        *,
        dispatcher: str,
        timeout_seconds: float = 5.0,
        heartbeat_seconds: float = 2.0,
        silence_seconds: float = 10.0,
        max_bytes: int = 256 << 20,
        segment_bytes: int = 16 << 20,
    ) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        """Declare the stream if it is new and read it up to its present end. Raises BrokerUnavailable."""

    async def close(self) -> None:
        """Append Gone if the broker answers at once, end all tasks. Idempotent; takes half a second at most."""

    def listen(self, listener: Listener) -> None:
        """Call this for every event from now on."""

    async def append(self, *events: Event) -> None:
        """Store the events in this order, all or none, as one record; returns when the broker confirmed.

        The replica holds them soon after, or after `barrier()`. Concurrent calls share records.
        During an outage it waits for its end; after the time-out BrokerUnavailable: then the events
        are still appended once if the broker comes back while this journal lives.
        """

    def append_soon(self, *events: Event) -> None:
        """The same without waiting, for what may be lost with this process. Never raises."""

    async def barrier(self) -> None:
        """Return when the replica holds everything that was confirmed before this call. Bounded as append."""
