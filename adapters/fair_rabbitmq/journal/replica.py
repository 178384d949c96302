"""What the journal amounts to so far: who leases what, which customers there are, counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from broker_core.model import CustomerPolicy
from fair_rabbitmq.journal.events import Record


class State(IntEnum):
    """Where a message is that the journal knows; UNKNOWN: ready, never handed over, or ended."""

    UNKNOWN = 0
    READY = 1
    LEASED = 2
    DELAYED = 3
    DEAD = 4


@dataclass(frozen=True, slots=True)
class Counts:
    """How many messages are leased, delayed and dead."""

    leased: int = 0
    delayed: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class KnownCustomer:
    """A customer whose queue exists: the newest generation, and the oldest that isn't removed yet.

    Generations from `oldest` up to `retired` are only drained; retired is -1 when there is none.
    """

    name: str
    oldest: int
    newest: int
    retired: int


class Replica:
    """Applies records in order; equal records give equal replicas."""

    def apply(self, offset: int, record: Record) -> bool:
        """Take a record in; False if it was one that repeats another."""
        raise NotImplementedError

    def customer(self, name: str) -> KnownCustomer | None:
        """Tell the customer's generations; None if it has no queue."""
        raise NotImplementedError

    def customers(self) -> list[KnownCustomer]:
        """Tell all customers that have a queue."""
        raise NotImplementedError

    def policy(self, name: str) -> CustomerPolicy | None:
        """Tell the customer's policy."""
        raise NotImplementedError

    def policies(self) -> dict[str, CustomerPolicy]:
        """Tell all policies."""
        raise NotImplementedError

    def state(self, message_id: str) -> State:
        """Tell where a message is."""
        raise NotImplementedError

    def attempts(self, message_id: str) -> int:
        """Tell how often the message was handed over so far, counted attempts only; 0 if unknown."""
        raise NotImplementedError

    def lease_owner(self, message_id: str) -> str | None:
        """Tell the dispatcher that leases the message."""
        raise NotImplementedError

    def counts(self, customer: str | None) -> Counts:
        """Count the messages of a customer, or of all."""
        raise NotImplementedError

    def names_after(self, name: str, limit: int) -> list[str]:
        """List customers behind a name that have a queue, a policy or a message that is known; sorted."""
        raise NotImplementedError
