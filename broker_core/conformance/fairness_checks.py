"""Checks the order of hand-overs against the bound of weighted deficit round robin and Jain's index.

The bound is that of Shreedhar & Varghese, "Efficient fair queuing using deficit round-robin", SIGCOMM
1995; the index that of Jain, Chiu & Hawe, "A quantitative measure of fairness", DEC TR-301, 1984.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from broker_core.model import Delivery


class Served(NamedTuple):
    """One hand-over as the scheduler sees it."""

    customer: str
    cost: int


def served(deliveries: Iterable[Delivery]) -> list[Served]:
    """Reduce deliveries to what counts for fairness."""
    return [Served(delivery.customer, delivery.message.cost) for delivery in deliveries]


def one_by_one(deliveries: Iterable[Delivery]) -> list[list[Served]]:
    """Make a batch of each delivery: for an order that is known exactly."""
    return [[one] for one in served(deliveries)]


def assert_bounded(
    batches: Sequence[Sequence[Served]],
    quantum: int,
    weights: Mapping[str, int] | None = None,
    schedulers: int = 1,
) -> None:
    """Fail unless |Sᵢ/wᵢ − Sⱼ/wⱼ| ≤ q + Cᵢ/wᵢ + Cⱼ/wⱼ for every pair over every window of batches.

    All customers must have been ready from the first batch on; a customer counts as ready until its last
    hand-over, and a pair is looked at while both are. Compared in whole numbers, multiplied by the weights.
    schedulers: how many of them, each with that bound, have made the order together.
    """
    weight = Counter(weights or {})
    left = Counter(one.customer for batch in batches for one in batch)
    largest: Counter[str] = Counter()
    for one in (one for batch in batches for one in batch):
        weight[one.customer] = weight[one.customer] or 1
        largest[one.customer] = max(largest[one.customer], one.cost)
    drift = _Drift(left, weight)
    for batch in batches:
        drift.take(batch)
    for (first, second), (low, high) in drift.extremes.items():
        w1, w2 = weight[first], weight[second]
        bound = schedulers * (quantum * w1 * w2 + largest[first] * w2 + largest[second] * w1)
        assert high - low <= bound, (
            f"{first!r} (weight {w1}) and {second!r} (weight {w2}) drift apart by "
            f"{(high - low) / (w1 * w2):g} cost units over weight in some window; "
            f"the bound is {bound / (w1 * w2):g}"
        )


class _Drift:
    """How far each pair drifts apart: lowest and highest wⱼSᵢ − wᵢSⱼ; the distance is the worst window's."""

    def __init__(self, left: Counter[str], weight: Mapping[str, int]) -> None:
        self._left = Counter(left)
        self._weight = weight
        self._ready = set(left)
        self._served: Counter[str] = Counter()
        self.extremes = dict.fromkeys(combinations(sorted(left), 2), (0, 0))

    def take(self, batch: Sequence[Served]) -> None:
        for one in batch:
            self._served[one.customer] += one.cost
            self._left[one.customer] -= 1
        moved = {one.customer for one in batch}
        finished = {customer for customer in moved if not self._left[customer]}
        if len(batch) > 1:
            # Within a batch the order is unknown, so who finished in it is no longer looked at.
            self._ready -= finished
        for customer in moved & self._ready:
            for other in self._ready - {customer}:
                self._note(*sorted((customer, other)))
        self._ready -= finished

    def _note(self, first: str, second: str) -> None:
        distance = self._weight[second] * self._served[first] - self._weight[first] * self._served[second]
        low, high = self.extremes[first, second]
        self.extremes[first, second] = (min(low, distance), max(high, distance))


def jain_index(shares: Iterable[float]) -> float:
    """Return (Σx)² / (n·Σx²): 1 when all shares are equal, 1/n when one has everything."""
    values = list(shares)
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 0.0


def worst_jain_index(order: Sequence[Served], window: int, weights: Mapping[str, int] | None = None) -> float:
    """Return the lowest index, of cost over weight, that any window of that many hand-overs has.

    Looks at the hand-overs before any customer has its last one; raises AssertionError if that is less
    than one window, since then nothing would be checked.
    """
    weights = weights or {}
    left = Counter(one.customer for one in order)
    customers = list(left)
    sums: Counter[str] = Counter()
    indices: list[float] = []
    for place, one in enumerate(order):
        sums[one.customer] += one.cost
        if place >= window:
            sums[order[place - window].customer] -= order[place - window].cost
        if place >= window - 1:
            indices.append(jain_index(sums[customer] / weights.get(customer, 1) for customer in customers))
        left[one.customer] -= 1
        if not left[one.customer]:
            break
    assert indices, f"a customer ran dry within the first {window} hand-overs: nothing to check"
    return min(indices)
