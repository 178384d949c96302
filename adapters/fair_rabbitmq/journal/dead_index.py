"""Dead letters in the order of their deaths, of all and of each customer, without their payloads."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dead:
    """One dead letter. number: its place in the order of deaths, unique; place: where its payload is.

    reviving: the dispatcher that is redriving it, or None.
    """

    id: str
    customer: str
    place: int
    died_at: int
    number: int
    reviving: str | None = None


class _Order:
    """Numbers in ascending order, of which some are gone; takes as much room as those that aren't."""

    __slots__ = ("_gone", "_numbers")

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._gone = 0

    def __len__(self) -> int:
        return len(self._numbers) - self._gone

    def append(self, number: int) -> None:
        self._numbers.append(number)

    def drop(self, still: dict[int, Dead]) -> None:
        """Note that one number is gone, which `still` doesn't hold any more."""
        self._gone += 1
        if self._gone > 64 and self._gone * 2 > len(self._numbers):
            self._numbers = [number for number in self._numbers if number in still]
            self._gone = 0

    def after(self, number: int) -> Iterator[int]:
        numbers = self._numbers
        for index in range(bisect_right(numbers, number), len(numbers)):
            yield numbers[index]


class DeadIndex:
    """Finds dead letters by id and by order; every step but a listing takes constant time (amortized)."""

    def __init__(self) -> None:
        self._by_id: dict[str, Dead] = {}
        self._by_number: dict[int, Dead] = {}
        self._order = _Order()
        self._customers: dict[str, _Order] = {}
        self.last_number = 0
        self.last_died_at = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Dead]:
        return iter(self._by_id.values())

    def get(self, message_id: str) -> Dead | None:
        """Find a dead letter."""
        return self._by_id.get(message_id)

    def count(self, customer: str) -> int:
        """Count those of a customer."""
        order = self._customers.get(customer)
        return 0 if order is None else len(order)

    def customers(self) -> Iterator[str]:
        """Tell whose dead letters there are."""
        return iter(self._customers)

    def add(self, message_id: str, customer: str, place: int, died_at: int) -> None:
        """Add a death; it is not older than those before, whatever the clock of its writer said."""
        self.last_number += 1
        self.last_died_at = max(self.last_died_at, died_at)
        self.restore(Dead(message_id, customer, place, self.last_died_at, self.last_number))

    def restore(self, dead: Dead) -> None:
        """Add one that had its number before; to be called in the order of the numbers."""
        self._by_id[dead.id] = self._by_number[dead.number] = dead
        self._order.append(dead.number)
        self._customers.setdefault(dead.customer, _Order()).append(dead.number)

    def claim(self, dead: Dead, reviving: str | None) -> None:
        """Note who is redriving it."""
        changed = Dead(dead.id, dead.customer, dead.place, dead.died_at, dead.number, reviving)
        self._by_id[dead.id] = self._by_number[dead.number] = changed

    def remove(self, message_id: str) -> None:
        """Forget one that is there."""
        dead = self._by_id.pop(message_id)
        del self._by_number[dead.number]
        self._order.drop(self._by_number)
        order = self._customers[dead.customer]
        order.drop(self._by_number)
        if not len(order):
            del self._customers[dead.customer]

    def after(self, number: int, customer: str | None = None) -> Iterator[Dead]:
        """Go through those with a greater number, of a customer or of all, the oldest death first."""
        order = self._order if customer is None else self._customers.get(customer)
        if order is None:
            return
        for found in order.after(number):
            if (dead := self._by_number.get(found)) is not None:
                yield dead
