"""Dead letters, in the order of their deaths."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from fair_kafka.ledger.commands import Topic
from fair_kafka.ledger.entries import Death, Entry

_NONE: dict[int, Entry] = {}


class DeadLetters:
    """Holds dead entries of all customers and of each, and those whose payload lies in another topic."""

    def __init__(self) -> None:
        self._all: dict[int, Entry] = {}
        self._by_customer: dict[str, dict[int, Entry]] = {}
        self._elsewhere: dict[int, Entry] = {}
        self.deaths = 0

    def __len__(self) -> int:
        return len(self._all)

    def add(self, entry: Entry, reason: str, now_ms: int) -> None:
        """Bury an entry now."""
        self.deaths += 1
        entry.death = Death(reason, now_ms, self.deaths)
        self.restore(entry)

    def restore(self, entry: Entry) -> None:
        """Hold an entry that died after all others that are held."""
        self._all[entry.serial] = entry
        self._by_customer.setdefault(entry.customer.name, {})[entry.serial] = entry
        self.note_place(entry)

    def note_place(self, entry: Entry) -> None:
        """Note in which topic the payload lies now."""
        if entry.log.topic != Topic.DEAD_LETTERS:
            self._elsewhere[entry.serial] = entry
        else:
            self._elsewhere.pop(entry.serial, None)

    def remove(self, entry: Entry) -> None:
        """Forget an entry that is dead."""
        name = entry.customer.name
        of_customer = self._by_customer[name]
        del self._all[entry.serial], of_customer[entry.serial]
        if not of_customer:
            del self._by_customer[name]
        self._elsewhere.pop(entry.serial, None)
        entry.death = None

    def of(self, customer: str | None) -> Collection[Entry]:
        """Return those of a customer, or all."""
        return (self._all if customer is None else self._by_customer.get(customer, _NONE)).values()

    def elsewhere(self) -> Iterator[Entry]:
        """Yield those whose payload isn't in the topic of dead letters, the oldest death first."""
        return iter(self._elsewhere.values())

    def oldest(self) -> Entry | None:
        """Return the one that has been dead for the longest time."""
        return next(iter(self._all.values()), None)
