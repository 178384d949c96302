"""Messages that have come to this dispatcher and are not handed over yet, by customer."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fair_rabbitmq.records import Stored, place_of

if TYPE_CHECKING:
    from fair_rabbitmq.session import Session


@dataclass(slots=True, eq=False)
class Source:
    """A queue that is consumed, or may be. tag: of the consumer, None when it isn't consumed.

    outstanding: what the present consumer got and hasn't settled. full: it had no room for more since
    the queue was last known to be empty. newest: id of what came last of what this dispatcher has published.
    awaited: id of what it has published last, as long as that isn't known to be here, or with others.
    cost: of its messages, a moving average. broken_until: left alone until then (monotonic seconds), since
    the broker didn't answer for it. missing: the queue seems to be deleted.
    """

    owner: str
    generation: int
    queue: str
    tag: str | None = None
    prefetch: int = 0
    outstanding: int = 0
    buffered: int = 0
    full: bool = False
    newest: str = ""
    awaited: str | None = None
    cost: float = 1.0
    broken_until: float = 0.0
    missing: bool = False

    @property
    def may_hold_more(self) -> bool:
        """Whether an empty buffer doesn't mean an empty queue."""
        return self.full or self.awaited is not None

    @property
    def lacks(self) -> bool:
        """Whether nothing is here, though it had no room for more."""
        return self.full and not self.buffered

    @property
    def has_room(self) -> bool:
        """Whether the broker sends more by itself, if there is more."""
        return self.tag is not None and self.outstanding < self.prefetch

    def consumed_as(self, tag: str, prefetch: int) -> None:
        """Note that a new consumer begins."""
        self.tag, self.prefetch, self.outstanding, self.full, self.awaited = tag, prefetch, 0, True, None

    def left(self) -> None:
        """Note that it isn't consumed any more."""
        self.tag, self.outstanding, self.full, self.awaited = None, 0, False, None

    def expects(self, message_id: str) -> bool:
        """Note that this message was stored by this dispatcher; tell whether it is still to come."""
        place = place_of(message_id)
        if self.tag is None or place_of(self.newest) >= place:
            return False
        if self.awaited is None or place_of(self.awaited) < place:
            self.awaited = message_id
        return True

    def give_up(self, awaited: str | None) -> None:
        """Wait for this message no longer: it is here, or with others. Later ones are waited for still."""
        if self.awaited == awaited:
            self.awaited = None


@dataclass(slots=True, eq=False)
class Arrival:
    """A message that came to us. It is valid as long as its session is.

    attempts: how often it was handed over so far, None if only the journal knows.
    """

    source: Source
    session: Session
    consumer: str
    tag: int
    redelivered: bool
    stored: Stored
    decodable: bool = True
    attempts: int | None = None

    @property
    def id(self) -> str:
        """The message's id."""
        return self.stored.id

    @property
    def customer(self) -> str:
        """The message's customer."""
        return self.stored.customer


@dataclass(slots=True, eq=False)
class Buffer:
    """What came for one customer: what was given back before goes first, by id; then the rest as it came."""

    _fresh: deque[Arrival] = field(default_factory=deque)
    _returned: list[tuple[tuple[int, int], int, Arrival]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._fresh) + len(self._returned)

    def add(self, arrival: Arrival) -> None:
        """Put in what came from the queue."""
        if arrival.redelivered:
            heapq.heappush(self._returned, (place_of(arrival.id), arrival.tag, arrival))
        else:
            self._fresh.append(arrival)

    def put_back(self, arrival: Arrival) -> None:
        """Put in front what was taken and not handed over."""
        heapq.heappush(self._returned, (place_of(arrival.id), arrival.tag, arrival))

    def head(self) -> Arrival | None:
        """Return the next one."""
        if self._returned:
            return self._returned[0][2]
        return self._fresh[0] if self._fresh else None

    def take(self) -> Arrival:
        """Take the next one out."""
        return heapq.heappop(self._returned)[2] if self._returned else self._fresh.popleft()

    def clear(self) -> list[Arrival]:
        """Take all out."""
        arrivals = [arrival for _, _, arrival in self._returned] + list(self._fresh)
        self._returned.clear()
        self._fresh.clear()
        return arrivals


class Buffers:
    """All that came and is not handed over yet. `by_customer` may hold empty buffers."""

    def __init__(self) -> None:
        self.by_customer: dict[str, Buffer] = {}

    def add(self, arrival: Arrival) -> None:
        """Put in what came from the queue."""
        buffer = self.by_customer.get(arrival.customer)
        if buffer is None:
            buffer = self.by_customer[arrival.customer] = Buffer()
        buffer.add(arrival)
        arrival.source.buffered += 1

    def put_back(self, arrival: Arrival) -> None:
        """Put in front what was taken and not handed over."""
        self.by_customer.setdefault(arrival.customer, Buffer()).put_back(arrival)
        arrival.source.buffered += 1

    def take(self, customer: str) -> Arrival:
        """Take the next message of a customer, which has one, out of its buffer."""
        arrival = self.by_customer[customer].take()
        arrival.source.buffered -= 1
        return arrival

    def clear(self, customer: str) -> list[Arrival]:
        """Take all messages of a customer out of its buffer."""
        buffer = self.by_customer.pop(customer, None)
        arrivals = buffer.clear() if buffer is not None else []
        for arrival in arrivals:
            arrival.source.buffered -= 1
        return arrivals

    def remove(self, sources: Iterable[Source] | None) -> list[Arrival]:
        """Take out all that came from these sources, or from any; the rest stays."""
        chosen = None if sources is None else set(map(id, sources))
        removed: list[Arrival] = []
        for customer in [name for name, buffer in self.by_customer.items() if len(buffer)]:
            for arrival in self.clear(customer):
                if chosen is None or id(arrival.source) in chosen:
                    removed.append(arrival)
                else:
                    self.add(arrival)
        return removed

    def counts(self) -> dict[str, int]:
        """Count what is here, by customer."""
        return {name: len(buffer) for name, buffer in self.by_customer.items() if len(buffer)}

    def lose(self) -> None:
        """Drop all, since the session is lost over which it came."""
        for buffer in self.by_customer.values():
            for arrival in buffer.clear():
                arrival.source.buffered = 0
