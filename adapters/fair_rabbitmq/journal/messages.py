"""What is known of the messages that aren't just ready: leases, delays, attempts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum


class State(IntEnum):
    """Where a message is that the journal knows.

    UNKNOWN: ready and never handed over, or gone. READY: handed over before. VOID: purged while it was
    leased; its owner has to end it, and it isn't counted any more.
    """

    UNKNOWN = 0
    READY = 1
    LEASED = 2
    DELAYED = 3
    DEAD = 4
    VOID = 5


@dataclass(frozen=True, slots=True)
class Known:
    """One message.

    owner: who leases it, or delayed it, if that one isn't gone; else empty. at: until when it is leased,
    when it is due, or since when it is ready, by its state.
    """

    customer: str
    state: State
    attempts: int
    owner: str
    at: int


@dataclass(slots=True)
class Tally:
    """How many messages of a customer are in some state."""

    leased: int = 0
    delayed: int = 0
    ready: int = 0

    def add(self, state: State, amount: int) -> None:
        """Count a message in a state, or out of it."""
        if state is State.LEASED:
            self.leased += amount
        elif state is State.DELAYED:
            self.delayed += amount
        elif state is State.READY:
            self.ready += amount


class Messages:
    """Finds messages by id, by customer and by who leases them; forgets the longest ready beyond a bound."""

    def __init__(self, max_ready: int, ready_ms: int) -> None:
        self._max_ready, self._ready_ms = max_ready, ready_ms
        self._known: dict[str, Known] = {}
        self._of_customer: dict[str, dict[str, None]] = {}
        self._of_owner: dict[str, dict[str, None]] = {}
        self._ready: dict[str, None] = {}  # in the order in which they became ready
        self._tallies: dict[str, Tally] = {}
        self.total = Tally()

    def __len__(self) -> int:
        return len(self._known)

    def items(self) -> list[tuple[str, Known]]:
        """Tell all, as they are now, those that are ready in the order in which they became so."""
        ready = [(message_id, self._known[message_id]) for message_id in self._ready]
        return [item for item in self._known.items() if item[1].state is not State.READY] + ready

    def get(self, message_id: str) -> Known | None:
        """Find a message."""
        return self._known.get(message_id)

    def tally(self, customer: str) -> Tally:
        """Count a customer's messages."""
        return self._tallies.get(customer) or Tally()

    def customers(self) -> Iterator[str]:
        """Tell whose messages are known."""
        return iter(self._of_customer)

    def of_customer(self, customer: str) -> list[str]:
        """Tell the ids of a customer's messages."""
        return list(self._of_customer.get(customer, ()))

    def of_owner(self, owner: str) -> list[str]:
        """Tell what a dispatcher leases or has delayed, what was purged meanwhile included."""
        return list(self._of_owner.get(owner, ()))

    def put(self, message_id: str, known: Known) -> None:
        """Note where a message is from now on."""
        self.forget(message_id)
        self._known[message_id] = known
        self._of_customer.setdefault(known.customer, {})[message_id] = None
        if known.owner:
            self._of_owner.setdefault(known.owner, {})[message_id] = None
        if known.state is State.READY:
            self._ready[message_id] = None
        self._tallies.setdefault(known.customer, Tally()).add(known.state, 1)
        self.total.add(known.state, 1)

    def forget(self, message_id: str) -> None:
        """Know nothing of a message any more; nothing happens if that is so."""
        known = self._known.pop(message_id, None)
        if known is None:
            return
        self._tallies[known.customer].add(known.state, -1)
        self.total.add(known.state, -1)
        self._ready.pop(message_id, None)
        if known.owner:
            _discard(self._of_owner, known.owner, message_id)
        if _discard(self._of_customer, known.customer, message_id):
            del self._tallies[known.customer]

    def make_ready(self, message_id: str, now: int, attempts: int | None = None) -> None:
        """Note that a known message is ready again; one without an attempt needs no memory."""
        known = self._known[message_id]
        kept = known.attempts if attempts is None else attempts
        if kept > 0:
            self.put(message_id, replace(known, state=State.READY, attempts=kept, owner="", at=now))
        else:
            self.forget(message_id)

    def forget_old(self, now: int) -> None:
        """Forget attempts of messages that have been ready for too long, or are too many."""
        while self._ready:
            oldest = next(iter(self._ready))
            if len(self._ready) <= self._max_ready and self._known[oldest].at > now - self._ready_ms:
                return
            self.forget(oldest)


def _discard(index: dict[str, dict[str, None]], key: str, message_id: str) -> bool:
    ids = index[key]
    del ids[message_id]
    if not ids:
        del index[key]
    return not ids
