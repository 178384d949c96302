"""Which customers have a queue, and making one: queues are told to all dispatchers by the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from pamqp.base import Frame
from pamqp.commands import Exchange, Queue

from fair_rabbitmq.journal.events import CustomerSeen
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.line import Line
from fair_rabbitmq.topology import Topology

_MOST_AT_ONCE = 200
_MOST_TRIES = 5


class Registry:
    """Queues of owners: an owner is a customer, or in whose name several customers share a queue."""

    def __init__(self, topology: Topology, journal: Journal, line: Line) -> None:
        self._topology = topology
        self._journal = journal
        self._line = line
        self._making: dict[str, asyncio.Future[None]] = {}

    async def declare_exchanges(self, line: Line) -> None:
        """Make the exchanges of the namespace. Idempotent.

        line: not of the connection for publishing, of which the broker reads nothing under an alarm.
        """
        topology = self._topology
        await line.call(
            [
                Exchange.Declare(exchange=topology.exchange, exchange_type="direct", durable=True),
                Exchange.Declare(exchange=topology.peers_exchange, exchange_type="fanout", durable=True),
            ]
        )

    def generation(self, owner: str) -> int | None:
        """Tell the generation that is published into; None if the owner has no queue for that."""
        known = self._journal.replica.customer(owner)
        return known.newest if known is not None and known.newest > known.retired else None

    def unknown_of(self, owners: Iterable[str]) -> list[str]:
        """Name those that have no queue as far as is known."""
        return [owner for owner in owners if self.generation(owner) is None]

    async def ensure(self, owners: Sequence[str]) -> None:
        """Make queues for these owners and bind them; every dispatcher hears of it. Raises BrokerUnavailable.

        When a queue is being made already this waits for it.
        """
        wanted = list(dict.fromkeys(owners))
        mine = [owner for owner in wanted if owner not in self._making]
        others = [self._making[owner] for owner in wanted if owner in self._making]
        loop = asyncio.get_running_loop()
        made = {owner: loop.create_future() for owner in mine}
        self._making.update(made)
        try:
            for start in range(0, len(mine), _MOST_AT_ONCE):
                await self._make(mine[start : start + _MOST_AT_ONCE])
        finally:
            for owner, future in made.items():
                del self._making[owner]
                future.set_result(None)
        for other in others:
            await asyncio.shield(other)

    async def _make(self, owners: list[str]) -> None:
        topology, replica = self._topology, self._journal.replica
        for _ in range(_MOST_TRIES):
            generations: dict[str, int] = {}
            for owner in owners:
                known = replica.customer(owner)
                generations[owner] = (
                    1 if known is None else known.newest if known.newest > known.retired else known.newest + 1
                )
            frames: list[Frame] = []
            for owner, generation in generations.items():
                frames += topology.frames_for(owner, generation)
            await self._line.call(frames)
            await self._journal.append(*(CustomerSeen(o, g) for o, g in generations.items()))
            await self._journal.barrier()
            # A queue that somebody retired meanwhile is only drained: what we bound there has to go.
            stale = [
                owner
                for owner, generation in generations.items()
                if (known := replica.customer(owner)) is None
                or known.newest != generation
                or known.retired >= generation
            ]
            if not stale:
                return
            await self._line.call(
                [
                    Queue.Unbind(
                        queue=topology.queue(owner, generations[owner]),
                        exchange=topology.exchange,
                        routing_key=topology.key(owner),
                    )
                    for owner in stale
                    if (known := replica.customer(owner)) is not None and known.retired >= generations[owner]
                ]
            )
            owners = stale
