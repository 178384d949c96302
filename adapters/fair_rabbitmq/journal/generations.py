"""Which queues of a customer there are: generations, of which all but the newest are only drained."""

from __future__ import annotations

from collections.abc import Iterator, KeysView
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class KnownCustomer:
    """A customer whose queue exists: the newest generation, and the oldest that isn't removed yet.

    Generations from `oldest` up to `retired` are only drained; retired is -1 when there is none.
    """

    name: str
    oldest: int
    newest: int
    retired: int = -1


class Generations:
    """Keeps them in the order in which the customers were seen."""

    def __init__(self) -> None:
        self._customers: dict[str, KnownCustomer] = {}

    def __iter__(self) -> Iterator[KnownCustomer]:
        return iter(self._customers.values())

    def __len__(self) -> int:
        return len(self._customers)

    def names(self) -> KeysView[str]:
        """Tell the customers."""
        return self._customers.keys()

    def get(self, name: str) -> KnownCustomer | None:
        """Find a customer."""
        return self._customers.get(name)

    def restore(self, customer: KnownCustomer) -> None:
        """Put a customer in as it was."""
        self._customers[customer.name] = customer

    def see(self, name: str, generation: int) -> None:
        """Note a generation that exists."""
        known = self._customers.get(name)
        if known is None:
            self._customers[name] = KnownCustomer(name, generation, generation)
        elif generation > known.newest:
            self._customers[name] = replace(known, newest=generation)

    def retire(self, name: str, generation: int) -> None:
        """Note that nobody publishes into a generation any more."""
        known = self._customers.get(name)
        if known is not None and known.retired < generation <= known.newest:
            self._customers[name] = replace(known, retired=generation)

    def remove(self, name: str, generation: int) -> bool:
        """Note that a generation and those before are deleted; True if none is left."""
        known = self._customers.get(name)
        if known is None or generation < known.oldest:
            return False
        if generation >= known.newest:
            del self._customers[name]
            return True
        retired = known.retired if known.retired > generation else -1
        self._customers[name] = replace(known, oldest=generation + 1, retired=retired)
        return False
