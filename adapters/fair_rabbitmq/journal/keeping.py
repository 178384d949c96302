"""Hand-overs that the journal is told of later, since the broker takes no messages now."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from broker_core.errors import BrokerFull
from fair_rabbitmq.journal.events import Ended, Event, HandedOver, Lease

T = TypeVar("T")

_MOST_LEASES = 200_000
_MOST_ENDED = 50_000
_IN_AN_EVENT = 1000


class Keeper:
    """Keeps leases that only this dispatcher knows of; bounded by what is leased at a time, not by time.

    A message whose hand-over and end both fall into an alarm leaves nothing here but its id, for those
    that may get another copy of it; of these ids the latest are kept.
    """

    def __init__(self, most_leases: int = _MOST_LEASES, most_ended: int = _MOST_ENDED) -> None:
        self._most_leases = most_leases
        self._leases: dict[str, Lease] = {}
        self._of_customer: Counter[str] = Counter()
        self._attempts: dict[str, int] = {}
        self._ended: deque[str] = deque(maxlen=most_ended)

    def __len__(self) -> int:
        return len(self._leases)

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._leases

    def count(self, customer: str | None) -> int:
        """Count the leases of a customer, or all."""
        return len(self._leases) if customer is None else self._of_customer[customer]

    def attempts(self, message_id: str) -> int:
        """Tell how often a message was handed over, 0 if the journal knows better."""
        return self._attempts.get(message_id, 0)

    def note(self, attempts: Mapping[str, int]) -> None:
        """Note attempts of which the journal is told, but can't tell others yet."""
        self._attempts.update(attempts)

    def add(self, leases: Sequence[Lease], attempts: Mapping[str, int]) -> None:
        """Keep leases. Raises BrokerFull when there are too many, with none of them kept."""
        if len(self._leases) + len(leases) > self._most_leases:
            raise BrokerFull("too much is leased that the journal can't be told of during RabbitMQ's alarm")
        for lease in leases:
            self._put(lease)
        self._attempts.update(attempts)

    def _put(self, lease: Lease) -> None:
        if lease.id not in self._leases:
            self._of_customer[lease.customer] += 1
        self._leases[lease.id] = lease

    def extend(self, leases: Iterable[Lease]) -> None:
        """Note later ends of those that are kept."""
        for lease in leases:
            if lease.id in self._leases:
                self._put(lease)

    def pop(self, message_id: str) -> Lease | None:
        """Forget a lease and its attempt, as if it never was; None if it isn't kept."""
        lease = self._leases.pop(message_id, None)
        if lease is not None:
            self._attempts.pop(message_id, None)
            self._of_customer[lease.customer] -= 1
            if not self._of_customer[lease.customer]:
                del self._of_customer[lease.customer]
        return lease

    def end(self, message_id: str) -> None:
        """Remember that a message which the journal doesn't know was processed."""
        self._ended.append(message_id)

    def forget_attempts(self, message_ids: Iterable[str]) -> None:
        """Note that the journal knows them, or that they don't matter any more."""
        for message_id in message_ids:
            self._attempts.pop(message_id, None)

    def take(self) -> tuple[list[Event], list[str]]:
        """Return the events that tell it all, and the ids whose attempts they tell; then keep no leases."""
        leases, ended = list(self._leases.values()), list(self._ended)
        told = list(self._attempts)
        self._leases.clear()
        self._of_customer.clear()
        self._ended.clear()
        events: list[Event] = [HandedOver(tuple(part)) for part in _parts(leases)]
        events += [Ended(tuple(part)) for part in _parts(ended)]
        return events, told


def _parts(things: list[T]) -> Iterable[list[T]]:
    return (things[start : start + _IN_AN_EVENT] for start in range(0, len(things), _IN_AN_EVENT))
