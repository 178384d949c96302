"""Which partition a customer's messages go to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from zlib import crc32

from fair_kafka.ledger.outcomes import Assigned, Place

# So long a partition is kept for a customer that was told to use it.
RESERVED_MS = 60_000


class Partition:
    """One partition. owners: customers that may use it, with the number of their live messages in it.

    epoch: how often it was taken from one customer for another.
    """

    __slots__ = ("epoch", "owners")

    def __init__(self, epoch: int = 0) -> None:
        self.epoch = epoch
        self.owners: dict[str, int] = {}


class Places:
    """Gives each customer a partition of its own while there are any, and one to share beyond.

    A partition without a live message is free: its last owner keeps it until another customer needs it,
    the one that has been free for the longest time being taken first.
    """

    def __init__(self) -> None:
        self.hashed = 0
        self.most = 0
        self.step = 1
        self.wanted = 0
        self.partitions: list[Partition] = []
        self.by_customer: dict[str, int] = {}
        self.free: OrderedDict[int, None] = OrderedDict()
        self.reserved: OrderedDict[str, int] = OrderedDict()

    def configure(self, hashed: int, most: int, step: int, *, first: bool) -> None:
        """Take the limits of a session; `hashed` counts when it is the first one."""
        if first:
            self.hashed = self.wanted = hashed
        self.most = hashed or most
        self.step = step

    def add(self, count: int) -> None:
        """Have this many partitions, at least."""
        for number in range(len(self.partitions), count):
            self.partitions.append(Partition())
            if not self.hashed:
                self.free[number] = None

    @property
    def missing(self) -> int:
        """How many partitions there should be in all, if that is more than there are, else 0."""
        return self.wanted if self.wanted > len(self.partitions) else 0

    def place_of(self, customer: str) -> Place | None:
        """Return the customer's partition if it has one now."""
        if self.hashed:
            number = crc32(customer.encode()) % self.hashed
            return Place(number, 0) if number < len(self.partitions) else None
        known = self.by_customer.get(customer)
        return None if known is None else Place(known, self.partitions[known].epoch)

    def assign(self, customers: Sequence[str], now_ms: int, *, share: bool) -> Assigned:
        """Give each customer a place, None to those for which more partitions are needed.

        Those that have one keep it: it is not taken for another one of them.
        """
        if self.hashed:
            return Assigned(tuple(map(self.place_of, customers)), self.missing)
        for customer in customers:
            if (number := self.by_customer.get(customer)) is not None:
                self._reserve(customer, number, now_ms)
        places = tuple([self._assign_one(customer, now_ms, share=share) for customer in customers])
        lacking = places.count(None)
        if lacking:
            needed = len(self.partitions) + lacking
            self.wanted = max(self.wanted, min(self.most, -(-needed // self.step) * self.step))
        return Assigned(places, self.missing)

    def _assign_one(self, customer: str, now_ms: int, *, share: bool) -> Place | None:
        number = self.by_customer.get(customer)
        if number is None:
            number = self._recycle()
        if number is None and self.partitions and (share or len(self.partitions) >= self.most):
            number = self._least_loaded_of_two(customer)
        if number is None:
            return None
        self._reserve(customer, number, now_ms)
        return Place(number, self.partitions[number].epoch)

    def _reserve(self, customer: str, number: int, now_ms: int) -> None:
        self.free.pop(number, None)
        self.by_customer[customer] = number
        if not self.partitions[number].owners.setdefault(customer, 0):
            self.reserved.pop(customer, None)
            self.reserved[customer] = now_ms + RESERVED_MS

    def _recycle(self) -> int | None:
        if not self.free:
            return None
        number, _ = self.free.popitem(last=False)
        partition = self.partitions[number]
        if partition.owners:
            self._disown(number, partition)
            partition.epoch += 1
        return number

    def _disown(self, number: int, partition: Partition) -> None:
        for owner in partition.owners:
            if self.by_customer.get(owner) == number:
                del self.by_customer[owner]
        partition.owners.clear()

    def _least_loaded_of_two(self, customer: str) -> int:
        name, count = customer.encode(), len(self.partitions)
        one, other = crc32(name) % count, crc32(name, 1) % count
        return min(one, other, key=lambda number: len(self.partitions[number].owners))

    def is_current(self, number: int, epoch: int) -> bool:
        """Tell whether messages may come with this epoch of a partition."""
        return number < len(self.partitions) and self.partitions[number].epoch == epoch

    def arrived(self, customer: str, number: int, count: int) -> None:
        """Count the customer's messages in the partition as live."""
        if self.hashed:
            return
        owners = self.partitions[number].owners
        known = owners.get(customer)
        if known:
            owners[customer] = known + count
            return
        if number in self.free:
            del self.free[number]
            if known is None:
                self._disown(number, self.partitions[number])
        owners[customer] = count
        self.by_customer.setdefault(customer, number)
        self.reserved.pop(customer, None)

    def left(self, customer: str, number: int, count: int) -> None:
        """Count them as live no more."""
        if self.hashed:
            return
        owners = self.partitions[number].owners
        live = owners[customer] = owners[customer] - count
        if not live:
            self._without_messages(customer, number)

    def end_reservations(self, now_ms: int) -> None:
        """Let go of partitions whose customers were told to use them and didn't."""
        while self.reserved:
            customer, until_ms = next(iter(self.reserved.items()))
            if until_ms > now_ms:
                return
            del self.reserved[customer]
            number = self.by_customer.get(customer)
            if number is not None and self.partitions[number].owners.get(customer) == 0:
                self._without_messages(customer, number)

    def _without_messages(self, customer: str, number: int) -> None:
        owners = self.partitions[number].owners
        if len(owners) == 1:
            self.free[number] = None
            return
        del owners[customer]
        if self.by_customer.get(customer) == number:
            del self.by_customer[customer]
