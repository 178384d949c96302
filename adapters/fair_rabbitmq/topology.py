"""Names of everything in the broker, in one place.

| object | type | meaning | removed |
|---|---|---|---|
| `fairdispatch:{namespace}` | direct exchange | customer's key → its queue | never |
| `fairdispatch:{namespace}:q:{key}:{generation}` | queue | a customer's ready messages | when idle for long |
| `fairdispatch:{namespace}:inbox:{name}` | exclusive queue | requests to a dispatcher | with its connection |
| `fairdispatch:{namespace}:peers` | fanout exchange | requests to all dispatchers | never |
| `fairdispatch:{namespace}:journal` | stream | see `journal` | never |
| `fairdispatch:{namespace}:dead` | stream | payloads of dead letters | never |
| `fairdispatch:{namespace}:delay…` | queues | see `delays` | never |
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from pamqp.base import Frame
from pamqp.commands import Queue

# No customer's name begins like that, since it has no control characters.
SHARED = "\0shared-"
_READABLE_CHARACTERS = 24
_UNREADABLE = re.compile(r"[^A-Za-z0-9_-]+")
# Redelivered as often as it takes: attempts are counted by the journal. With a limit, however high, a
# quorum queue puts what is given back in front instead of at its end.
_DELIVERY_LIMIT = 1_000_000_000


@dataclass(frozen=True)
class Topology:
    """The names of one namespace. hashed_queues: how many queues customers share, 0 if they don't."""

    namespace: str
    queue_type: Literal["quorum", "classic"] = "quorum"
    hashed_queues: int = 0
    exchange: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "exchange", f"fairdispatch:{self.namespace}")

    @property
    def peers_exchange(self) -> str:
        """Where requests to all dispatchers go."""
        return f"{self.exchange}:peers"

    @property
    def journal(self) -> str:
        """The stream of the journal."""
        return f"{self.exchange}:journal"

    @property
    def dead_letters(self) -> str:
        """The stream of the dead letters' payloads."""
        return f"{self.exchange}:dead"

    @property
    def delays(self) -> str:
        """What the names of the queues for delayed messages begin with."""
        return f"{self.exchange}:delay"

    def inbox(self, dispatcher: str) -> str:
        """The queue of requests to one dispatcher."""
        return f"{self.exchange}:inbox:{dispatcher}"

    def owner_of(self, customer: str) -> str:
        """Tell in whose name the queue of this customer is known: its own, or that of the shared queue."""
        if not self.hashed_queues:
            return customer
        digest = hashlib.blake2b(customer.encode(), digest_size=8).digest()
        return f"{SHARED}{int.from_bytes(digest, 'big') % self.hashed_queues}"

    def key(self, owner: str) -> str:
        """The routing key of an owner's queue."""
        return _key(owner)

    def queue(self, owner: str, generation: int) -> str:
        """The owner's queue of that generation."""
        return f"{self.exchange}:q:{_key(owner)}:{generation}"

    def frames_for(self, owner: str, generation: int) -> list[Frame]:
        """What makes and binds the owner's queue of that generation; harmless if it is there."""
        queue = self.queue(owner, generation)
        arguments = self.queue_arguments()
        return [
            Queue.Declare(queue=queue, durable=True, arguments=arguments),  # type: ignore[arg-type]
            Queue.Bind(queue=queue, exchange=self.exchange, routing_key=self.key(owner)),
        ]

    def queue_arguments(self) -> dict[str, object]:
        """How customers' queues are declared."""
        if self.queue_type == "quorum":
            return {"x-queue-type": "quorum", "x-delivery-limit": _DELIVERY_LIMIT}
        return {"x-queue-type": "classic"}


@lru_cache(maxsize=1 << 16)
def _key(owner: str) -> str:
    readable = _UNREADABLE.sub("_", owner)[:_READABLE_CHARACTERS]
    digest = hashlib.blake2b(owner.encode(), digest_size=10).hexdigest()
    return f"{readable}-{digest}"
