"""Messages that were handed over at least once, each an object of its own until it is gone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from fair_kafka.ledger.commands import Ref
from fair_kafka.ledger.logs import PartitionLog

if TYPE_CHECKING:
    from fair_kafka.ledger.customers import Customer


class State(IntEnum):
    """Where a message is; it is in exactly one of these until it is gone."""

    READY = 0
    LEASED = 1
    DELAYED = 2
    DEAD = 3


@dataclass(slots=True, eq=False)
class Lease:
    """What all hand-overs of one Receive have in common: their fencing token, and the last attempt."""

    session: int
    sequence: int
    max_attempts: int


@dataclass(slots=True, eq=False)
class Death:
    """Why and when a message died; number orders the dead letters."""

    reason: str
    died_ms: int
    number: int


@dataclass(slots=True, eq=False)
class Entry:
    """One message. attempts: hand-overs so far, the current one included. due_ms: of its lease or delay."""

    serial: int
    customer: Customer
    log: PartitionLog
    offset: int
    cost: int
    published_ms: int
    attempts: int = 0
    state: State = State.READY
    due_ms: int = 0
    lease: Lease | None = None
    death: Death | None = None

    @property
    def ref(self) -> Ref:
        """Where its payload lies."""
        return Ref(self.log.topic, self.log.partition, self.offset)
