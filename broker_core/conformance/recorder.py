"""Keeps what was handed over to whom, so that losses and duplicates are counted and never hidden."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from broker_core.model import Delivery


@dataclass(frozen=True, slots=True)
class HandOver:
    """One delivery as a consumer saw it; `seen_at` is the consumer's monotonic clock, in seconds."""

    delivery: Delivery
    consumer: str
    seen_at: float

    @property
    def id(self) -> str:
        """The message's id."""
        return self.delivery.id

    @property
    def customer(self) -> str:
        """The message's customer."""
        return self.delivery.customer


class Recorder:
    """Every hand-over of a test in the order in which the consumers got them."""

    def __init__(self) -> None:
        self.batches: list[list[HandOver]] = []

    def record(self, deliveries: Sequence[Delivery], consumer: str = "") -> None:
        """Add what one call of `receive` returned."""
        if deliveries:
            now = time.monotonic()
            self.batches.append([HandOver(delivery, consumer, now) for delivery in deliveries])

    @property
    def hand_overs(self) -> list[HandOver]:
        """All hand-overs, in order."""
        return [hand_over for batch in self.batches for hand_over in batch]

    @property
    def deliveries(self) -> list[Delivery]:
        """All deliveries, in order."""
        return [hand_over.delivery for batch in self.batches for hand_over in batch]

    @property
    def ids(self) -> list[str]:
        """The ids of all hand-overs, in order, repeated as often as they were handed over."""
        return [hand_over.id for hand_over in self.hand_overs]

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    @property
    def duplicates(self) -> Counter[str]:
        """Id → hand-overs beyond the first, for ids that have such."""
        return Counter(
            {message_id: times - 1 for message_id, times in Counter(self.ids).items() if times > 1}
        )

    def batches_in_broker_order(self) -> list[list[Delivery]]:
        """Join what was handed over in the same instant of the broker's clock, in the order of that clock.

        Replies to consumers that call at the same time may be seen in another order than that of the
        hand-overs. All leases are equally long, so their ends tell the order; within a batch it is unknown.
        """
        moments: dict[datetime, list[Delivery]] = {}
        for delivery in self.deliveries:
            moments.setdefault(delivery.lease_until, []).append(delivery)
        return [moments[end] for end in sorted(moments)]

    def check(self, confirmed: Iterable[str], *, duplicates_allowed: int = 0) -> None:
        """Fail unless exactly the confirmed ids were received, with no more duplicates than allowed."""
        assert_same_ids(set(self.ids), set(confirmed))
        duplicates = self.duplicates
        assert duplicates.total() <= duplicates_allowed, (
            f"{duplicates.total()} duplicates, allowed are {duplicates_allowed}: {_some(duplicates)}"
        )


def assert_same_ids(received: Collection[str], confirmed: Collection[str]) -> None:
    """Fail, telling how many were lost and how many were never confirmed, unless both are the same."""
    lost, unexpected = set(confirmed) - set(received), set(received) - set(confirmed)
    assert not lost, f"{len(lost)} of {len(confirmed)} confirmed messages were lost: {_some(lost)}"
    assert not unexpected, f"{len(unexpected)} messages were received but not confirmed: {_some(unexpected)}"


def _some(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids)[:5])
