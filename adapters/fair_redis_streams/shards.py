"""Which shard a customer lives on, and which shard a receive asks next."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from broker_core.model import Delivery


def shard_of(customer: str, shards: int) -> int:
    """Return the customer's shard: the same in every process and release, evenly spread."""
    return zlib.crc32(customer.encode()) % shards if shards > 1 else 0


class ShardTurns:
    """Divides a dispatcher's receives among the shards by how many customers wait on each.

    So customers of a crowded shard get about as much as those of an empty one. Each shard is fair by itself;
    between shards the difference is bounded by what one receive takes, weights aside. A shard that had
    nothing gets no credit for it.
    """

    def __init__(self, shards: int) -> None:
        # What each shard's customers got, each of them, by this dispatcher.
        self._served_each = [0.0] * shards

    def order(self) -> list[int]:
        """Return the shards, the one whose customers got least first."""
        return sorted(range(len(self._served_each)), key=self._served_each.__getitem__)

    def took(self, shard: int, deliveries: Sequence[Delivery], customers: int) -> None:
        """Note what came from a shard in which so many customers waited."""
        if len(self._served_each) > 1:
            cost = sum(delivery.message.cost for delivery in deliveries)
            self._served_each[shard] += cost / max(customers, 1)

    def had_nothing(self, shard: int) -> None:
        """Note that nothing was ready there."""
        self._served_each[shard] = max(self._served_each)
