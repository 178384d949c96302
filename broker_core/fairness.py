"""Weighted deficit round robin, pure: no clock, no I/O, no queues of its own.

Shreedhar & Varghese, "Efficient fair queuing using deficit round-robin", SIGCOMM 1995. Two changes:
a visit that was cut short is resumed instead of being granted again, and a customer whose next message
costs more than several quanta is parked until the round in which it can afford it, so that rounds
in which nobody can afford anything are skipped by arithmetic.

Time is the number of the round (a virtual clock). It only runs while somebody is parked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

_ROUND_MARKER = ""  # stands in the ring where a new round begins; a customer's name is never empty


class DeficitRoundRobin:
    """Chooses whose message is handed over next, so that service over weight stays equal.

    For customers i, j that stay in the ring throughout an interval
    |Sᵢ/wᵢ − Sⱼ/wⱼ| ≤ quantum + Cᵢ/wᵢ + Cⱼ/wⱼ, where S is the cost served and C the largest cost.
    One that joins with head cost c waits for at most ⌈c/(wᵢ·quantum)⌉·Σ wⱼ·quantum + Σ Cⱼ units.

    Use: `join` a customer when it gets something ready, `next_customer` to ask, `charge` for what was
    handed over, `leave` at once when nothing of it is ready any more. All costs are whole numbers ≥ 1.
    Choosing and charging are O(1) amortised, a new round is O(parked · log parked), `leave` is O(ring).
    """

    def __init__(self, quantum: int, weight_of: Callable[[str], int] = lambda _: 1) -> None:
        self._quantum = quantum
        self._weight_of = weight_of
        self._ring: deque[str] = deque()
        self._deficit: dict[str, int] = {}
        self._parked: dict[str, int] = {}
        self._round = 0
        self._visiting = False
        self._marked = False

    def __contains__(self, customer: str) -> bool:
        return customer in self._deficit

    def __len__(self) -> int:
        return len(self._deficit)

    def join(self, customer: str) -> None:
        """Put the customer at the tail, without credit; no effect if it is in already."""
        if customer not in self._deficit:
            self._deficit[customer] = 0
            self._ring.append(customer)

    def leave(self, customer: str) -> None:
        """Take the customer out and drop its deficit; no effect if it isn't in."""
        if self._deficit.pop(customer, None) is None:
            return
        if self._parked.pop(customer, None) is None:
            if self._ring[0] == customer:
                self._visiting = False
            self._ring.remove(customer)

    def next_customer(self, head_cost: Callable[[str], int]) -> str | None:
        """Tell whose first message is next; None when the ring is empty.

        head_cost gives the cost of a customer's first ready message. The answer stays the same until
        `charge`, `leave` or a change of that cost.
        """
        while self._ring:
            customer = self._ring[0]
            if customer == _ROUND_MARKER:
                self._begin_round()
                continue
            if not self._visiting:
                self._deficit[customer] += self._quantum * self._weight_of(customer)
                self._visiting = True
            shortfall = head_cost(customer) - self._deficit[customer]
            if shortfall <= 0:
                return customer
            self._end_visit(shortfall)
        return None

    def charge(self, cost: int) -> None:
        """Book one hand-over to the customer that `next_customer` named."""
        customer = self._ring[0]
        self._deficit[customer] -= cost
        if self._deficit[customer] == 0:
            self._visiting = False
            self._ring.rotate(-1)

    def reweigh(self, customer: str) -> None:
        """Let a change of weight count from the customer's next visit, not after a long parking."""
        until = self._parked.pop(customer, None)
        if until is not None:
            # What was granted ahead for rounds that have not come is taken back.
            self._deficit[customer] = 0
            self._ring.append(customer)

    def _end_visit(self, shortfall: int) -> None:
        customer = self._ring.popleft()
        self._visiting = False
        grant = self._quantum * self._weight_of(customer)
        rounds = -(-shortfall // grant)
        if rounds == 1:
            self._ring.append(customer)
            return
        # The visit that ends the parking grants once more by itself.
        self._deficit[customer] += (rounds - 1) * grant
        if not self._marked:
            self._ring.append(_ROUND_MARKER)
            self._marked = True
        self._parked[customer] = self._round + rounds

    def _begin_round(self) -> None:
        self._ring.popleft()
        self._marked = False
        if not self._parked:
            return
        self._round = self._round + 1 if self._ring else min(self._parked.values())
        due = sorted((until, customer) for customer, until in self._parked.items() if until <= self._round)
        for _, customer in due:
            del self._parked[customer]
        if self._parked:
            self._ring.append(_ROUND_MARKER)
            self._marked = True
        self._ring.extendleft(customer for _, customer in reversed(due))
