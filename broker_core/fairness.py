"""Weighted deficit round robin, pure: no clock, no I/O, no queues of its own.

Shreedhar & Varghese, "Efficient fair queuing using deficit round-robin", SIGCOMM 1995. Two additions:
a visit that was cut short is resumed instead of being granted again, and rounds in which nobody can
afford anything are skipped by arithmetic. Both leave the order of plain deficit round robin as it is.

Time is virtual: it is the number of the round, and it passes only while somebody is visited.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

HeadCost = Callable[[str], int | None]


class DeficitRoundRobin:
    """Chooses whose message is handed over next, so that service over weight stays equal.

    For customers i, j that stay in the ring throughout an interval
    |Sᵢ/wᵢ − Sⱼ/wⱼ| ≤ quantum + Cᵢ/wᵢ + Cⱼ/wⱼ, where S is the cost served and C the largest cost.
    One that joins with head cost c waits for at most ⌈c/(wᵢ·quantum)⌉·Σ wⱼ·quantum + Σ Cⱼ units.

    Use: `join` a customer when it gets something ready, `next_customer` to ask, `charge` for what was
    handed over, `leave` at once when nothing of it is ready any more. Costs are whole numbers ≥ 0.
    `join`, `charge` and `leave` are O(1). A choice takes as many steps as the cost has quanta,
    but never more than three times round the ring.
    """

    def __init__(self, quantum: int, weight_of: Callable[[str], int] = lambda _: 1) -> None:
        self.quantum = quantum
        self._weight_of = weight_of
        self._ring: OrderedDict[str, int] = OrderedDict()  # customer → deficit; the head is visited next
        self._visiting = False

    def __contains__(self, customer: str) -> bool:
        return customer in self._ring

    def __len__(self) -> int:
        return len(self._ring)

    def __iter__(self) -> Iterator[str]:
        """Yield the customers in the order in which they will be visited, if nothing changes."""
        return iter(self._ring)

    def join(self, customer: str) -> None:
        """Put the customer at the tail, without credit; no effect if it is in already."""
        self._ring.setdefault(customer, 0)

    def leave(self, customer: str) -> None:
        """Take the customer out and drop its deficit; no effect if it isn't in."""
        if self._ring and next(iter(self._ring)) == customer:
            self._visiting = False
        self._ring.pop(customer, None)

    def forfeit(self, customer: str) -> None:
        """Drop the deficit of a customer whose messages were taken away; no effect if it isn't in.

        It keeps its place and leaves when its turn comes, unless something of it is ready again by then.
        """
        if customer in self._ring:
            self._ring[customer] = 0
            if next(iter(self._ring)) == customer:
                self._visiting = False

    def next_customer(self, head_cost: HeadCost) -> str | None:
        """Tell whose first message is next; None when the ring is empty.

        head_cost gives the cost of a customer's first ready message, or None for a customer that may not
        be served now, which then leaves the ring. The answer stays the same until `charge`, `leave` or
        a change of that cost.
        """
        ring = self._ring
        fruitless = 0
        while ring:
            customer = next(iter(ring))
            cost = head_cost(customer)
            if cost is None:
                self.leave(customer)
                continue
            if not self._visiting:
                if fruitless >= len(ring):
                    self._skip_rounds(head_cost)
                    fruitless = 0
                ring[customer] += self._grant(customer)
                self._visiting = True
            if cost <= ring[customer]:
                return customer
            self._end_visit(customer)
            fruitless += 1
        return None

    def charge(self, cost: int) -> None:
        """Book one hand-over to the customer that `next_customer` named."""
        customer = next(iter(self._ring))
        self._ring[customer] -= cost
        if self._ring[customer] <= 0:
            self._end_visit(customer)

    def refund(self, customer: str, cost: int) -> None:
        """Undo the charge of a hand-over that failed: the customer's visit goes on as if it had not been.

        Of several charges the latest has to be undone first.
        """
        ring = self._ring
        if ring and self._visiting and (head := next(iter(ring))) != customer:
            # Its visit began after this one; it will be granted again.
            ring[head] -= self._grant(head)
        ring[customer] = ring.get(customer, 0) + cost
        ring.move_to_end(customer, last=False)
        self._visiting = True

    def export_state(self) -> tuple[list[tuple[str, int]], bool]:
        """Return customers with their deficits, the next one first, and whether a visit of it was begun."""
        return list(self._ring.items()), self._visiting

    def restore_state(self, ring: Iterable[tuple[str, int]], visiting: bool) -> None:
        """Go on exactly where the one went that `export_state` was called on."""
        self._ring = OrderedDict(ring)
        self._visiting = visiting

    def _grant(self, customer: str) -> int:
        return self.quantum * self._weight_of(customer)

    def _end_visit(self, customer: str) -> None:
        self._visiting = False
        self._ring.move_to_end(customer)

    def _skip_rounds(self, head_cost: HeadCost) -> None:
        """Grant what all would get in the rounds before the first in which somebody can afford its head."""
        rounds_to_afford = [
            -(-(cost - deficit) // self._grant(customer))
            for customer, deficit in self._ring.items()
            if (cost := head_cost(customer)) is not None
        ]
        rounds = min(rounds_to_afford) - 1
        if rounds > 0:
            for customer in self._ring:
                self._ring[customer] += rounds * self._grant(customer)
