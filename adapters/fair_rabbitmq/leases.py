"""Leases of this dispatcher: what it has handed over, until when, and what became of it."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from fair_rabbitmq.buffers import Arrival
from fair_rabbitmq.session import Session

_REMEMBERED = 50_000
_ORPHANS = 10_000


class Recent:
    """The latest of many texts, a bounded number of them."""

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._kept: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, text: str) -> bool:
        return text in self._kept

    def add(self, text: str) -> None:
        """Remember a text as the latest."""
        self._kept[text] = None
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def discard(self, text: str) -> None:
        """Forget a text; no effect if it isn't known."""
        self._kept.pop(text, None)


@dataclass(slots=True, eq=False)
class Lease:
    """A delivery that is a consumer's until `ends` (monotonic seconds) at least.

    doom: why it is a dead letter that couldn't be stored yet, and nobody's; empty for the others.
    """

    receipt: str
    arrival: Arrival
    attempt: int
    ends: float
    doom: str = ""

    @property
    def id(self) -> str:
        """The message's id."""
        return self.arrival.id

    @property
    def customer(self) -> str:
        """The message's customer."""
        return self.arrival.customer


class Leases:
    """What is leased now, by receipt. `finished` holds receipts whose message left the broker.

    Whoever has added or extended leases sets `ends_changed`, once for all of them.
    """

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}
        self._ids: dict[str, Lease] = {}
        self._ends: list[tuple[float, str]] = []
        self._orphans: OrderedDict[str, Lease] = OrderedDict()
        self.finished = Recent()
        self.ends_changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._leases)

    def add(self, lease: Lease) -> None:
        """Begin a lease, or put it back."""
        self._leases[lease.receipt] = lease
        self._ids[lease.id] = lease
        heapq.heappush(self._ends, (lease.ends, lease.receipt))
        if len(self._ends) > 2 * len(self._leases) + 64:
            self._ends = [(one.ends, one.receipt) for one in self._leases.values()]
            heapq.heapify(self._ends)

    def of_id(self, message_id: str) -> Lease | None:
        """Return the lease of a message."""
        return self._ids.get(message_id)

    def get(self, receipt: str) -> Lease | None:
        """Return a lease that may still be settled; one whose session is lost is lost with it."""
        lease = self._leases.get(receipt)
        if lease is not None and not lease.arrival.session.holds(lease.arrival):
            self.lose(lease.arrival.session)
            return None
        return lease

    def drop(self, leases: Iterable[Lease]) -> None:
        """End leases; no effect on those that have ended."""
        for lease in leases:
            if self._leases.pop(lease.receipt, None) is not None and self._ids.get(lease.id) is lease:
                del self._ids[lease.id]

    def extend(self, lease: Lease, ends: float) -> None:
        """Let a lease end at another time."""
        lease.ends = ends
        heapq.heappush(self._ends, (ends, lease.receipt))

    def of_session(self, session: Session) -> list[Lease]:
        """Return the leases of what came over a session."""
        return [lease for lease in self._leases.values() if lease.arrival.session is session]

    def lose(self, session: Session) -> None:
        """End the leases of a session that is lost; for an ack they are remembered for a while."""
        for lease in self.of_session(session):
            self.drop([lease])
            self.bereave(lease)

    def bereave(self, lease: Lease) -> None:
        """Remember a lease that ended with its session."""
        self._orphans[lease.receipt] = lease
        if len(self._orphans) > _ORPHANS:
            self._orphans.popitem(last=False)

    def orphan(self, receipt: str) -> Lease | None:
        """Return a lease that ended with its session."""
        return self._orphans.get(receipt)

    def adopt(self, lease: Lease) -> None:
        """Forget a lease that ended with its session, since its message is finished."""
        self._orphans.pop(lease.receipt, None)
        self.finished.add(lease.receipt)

    def of_customer(self, customer: str) -> list[Lease]:
        """Return the leases of a customer's messages."""
        return [lease for lease in self._leases.values() if lease.customer == customer]

    def pop_expired(self) -> list[Lease]:
        """End and return the leases whose time is over."""
        now = time.monotonic()
        expired: list[Lease] = []
        while self._ends and self._ends[0][0] <= now:
            ends, receipt = heapq.heappop(self._ends)
            lease = self._leases.get(receipt)
            if lease is not None and lease.ends == ends:
                self.drop([lease])
                expired.append(lease)
        return expired

    def next_end(self) -> float | None:
        """Tell when the next lease may end."""
        return self._ends[0][0] if self._ends else None
