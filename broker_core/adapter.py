"""The seam: what a broker has to offer so that FairDispatcher can keep its promises over it.

An adapter is called with arguments that FairDispatcher has checked. It raises DispatcherError only
(with `__cause__` kept), lets CancelledError pass at once, and may be called concurrently in every
method but `open` and `close`. The contract as tests: `broker_core.conformance`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar, Literal

from broker_core.errors import DispatcherError
from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, DeadLetter, Delivery, Message, Page
from broker_core.settings import DispatcherSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an adapter keeps, as data: tests skip by it, users decide by it, `Unsupported` follows from it.

    fairness_scope: "namespace" if all consumers share one schedule, "consumer" if each has its own.
    lease_enforced_by: who takes an expired lease back: the broker, the owner's process, or a ledger.
    attempts: whether attempts are counted exactly after a crash or may be counted too often.
    backlog: whether `backlog` is exact at every moment.
    dedup: how far one (customer, Message.id) is recognised.
    policies: the fields of CustomerPolicy that are kept. scheduled, ttl, priorities: whether
    not_before, expires_at and priority of a message are.
    max_customers: with something waiting, at a time. takeover_seconds: how soon after the death of a
    consumer its messages go to another; None: when the lease ends.
    residue: what stays in the broker when everything is acked.
    """

    fairness_scope: Literal["namespace", "consumer"]
    lease_enforced_by: Literal["broker", "client", "ledger"]
    attempts: Literal["exact", "at_least"]
    backlog: Literal["exact", "ready_exact", "approximate"]
    dedup: Literal["namespace", "publisher", "none"]
    policies: frozenset[str]
    scheduled: bool
    ttl: bool
    priorities: bool
    max_customers: int
    takeover_seconds: float | None
    residue: str


class OutcomeUnknown(DispatcherError):
    """The broker may have stored the message or not: the answer was lost. Never leaves FairDispatcher."""

    retryable = True


class Verb(Enum):
    """How a delivery ends."""

    ACK = "ack"
    NACK = "nack"
    RELEASE = "release"
    DEAD_LETTER = "dead_letter"


@dataclass(frozen=True, slots=True)
class Settlement:
    """A verb with its arguments. delay_seconds counts for NACK, reason for NACK and DEAD_LETTER."""

    verb: Verb
    delay_seconds: float = 0.0
    reason: str = ""


class BrokerAdapter(ABC):
    """One namespace in one broker. Constructing it connects to nothing."""

    settings_type: ClassVar[type[DispatcherSettings]]
    capabilities: ClassVar[Capabilities]

    @abstractmethod
    def __init__(self, settings: Any, client: Any = None) -> None:
        """Take settings of `settings_type`, and a client that the caller made, which is never closed here."""

    @abstractmethod
    async def open(self) -> None:
        """Connect and make the namespace usable. Called once.

        Blocks for a few seconds at most. Raises BrokerUnavailable, or ConfigurationError where the
        broker or the namespace doesn't fit the settings; then nothing is left open.
        """

    @abstractmethod
    async def close(self) -> None:
        """Free every connection and task. Idempotent; called when no receive is under way.

        What cancelled receives took is given back first. Takes a second at most; never raises.
        """

    @abstractmethod
    async def publish(self, messages: Sequence[Message]) -> list[str | DispatcherError]:
        """Store the messages and return an id or an error for each, in order.

        Each id says that its message is as durable as the broker is configured to make it.
        OutcomeUnknown stands where the answer was lost. Not idempotent, so never resent blindly;
        messages whose id is set may be. Bounded by the adapter's time-out.
        """

    @abstractmethod
    async def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:
        """Lease up to max_messages, fairly, as soon as there is one; empty after wait_seconds.

        When it is cancelled, or its answer is lost, what it took is given back without counting an
        attempt, by a task of the adapter. Entries that can't be decoded go to the dead letters.
        Raises BrokerUnavailable when the broker stays away for the whole wait.
        """

    @abstractmethod
    async def settle(self, receipts: Sequence[str], settlement: Settlement) -> list[str]:
        """End leases and return the receipts whose lease was lost; those changed nothing.

        ACK is idempotent, and succeeds for a message that no longer exists; it may be resent.
        The others are not idempotent and report a message that no longer exists as lost.
        Raises InvalidArgument for a receipt that no adapter of this kind has made, with nothing changed.
        """

    @abstractmethod
    async def extend(self, receipts: Sequence[str], seconds: float) -> list[datetime | None]:
        """Renew leases to end in `seconds` and return their ends (aware UTC), None where lost. Idempotent."""

    @abstractmethod
    async def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:
        """Replace the customer's record, None removes it; it counts for all within a second. Idempotent."""

    @abstractmethod
    async def inspect(self, customer: str | None) -> tuple[Backlog, CustomerPolicy | None]:
        """Count the messages of a customer, or of the namespace; tell the customer's policy. Idempotent."""

    @abstractmethod
    async def customers(self, limit: int, cursor: str | None) -> Page[CustomerBacklog]:
        """List up to `limit` customers that have a message in any state, or a policy. Idempotent.

        Raises InvalidArgument for a cursor that this method hasn't made; `dead_letters` likewise.
        """

    @abstractmethod
    async def dead_letters(self, customer: str | None, limit: int, cursor: str | None) -> Page[DeadLetter]:
        """List up to `limit` dead letters of a customer or of all, the oldest death first. Idempotent."""

    @abstractmethod
    async def end_dead_letters(self, customer: str, ids: Sequence[str] | None, *, redrive: bool) -> int:
        """Make dead letters ready again at the tail with attempt 1, or remove them; return how many.

        ids None means all that are dead when the call begins. Idempotent in effect, not in the count.
        """

    @abstractmethod
    async def purge(self, customer: str) -> int:
        """Remove what is ready, delayed or leased of the customer; return how many. Receipts become void.

        What is published while it runs may stay. Idempotent in effect, not in the count.
        """
