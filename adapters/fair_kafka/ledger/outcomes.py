"""Outcomes: what the ledger answers to commands, the same in every replica. Times are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from fair_kafka.ledger.commands import Ref


class Refusal(Enum):
    """Why messages were not stored; assign a partition anew, produce their records again, publish again."""

    STALE = "the partition was given to another customer meanwhile"
    CLEANED = "records at these offsets were released for deletion"


class Place(NamedTuple):
    """A partition of Topic.MESSAGES to produce to, and its epoch, to be named in the PublishEntry."""

    partition: int
    epoch: int


class HandedOver(NamedTuple):
    """One message of a Received. attempt: 1 on the first delivery."""

    customer: str
    serial: int
    id: str
    attempt: int
    cost: int
    published_ms: int
    ref: Ref
    receipt: str


@dataclass(frozen=True, slots=True)
class Done:
    """It is so."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """This command was applied before (its outcome came then), was revoked, or is too old to be told."""


@dataclass(frozen=True, slots=True)
class UnknownSession:
    """Nothing was changed: the session wasn't opened or was forgotten. Open another and submit again."""


@dataclass(frozen=True, slots=True)
class Opened:
    """hashed_partitions, partitions_wanted: of the namespace; the first may differ from what was asked."""

    hashed_partitions: int
    partitions_wanted: int


@dataclass(frozen=True, slots=True)
class Assigned:
    """A place for each customer, None where more partitions are needed: `partitions_wanted` in all.

    Then add partitions, append PartitionsAdded, and AssignPartitions for what is left.
    """

    places: tuple[Place | None, ...]
    partitions_wanted: int


@dataclass(frozen=True, slots=True)
class Published:
    """For each entry the ids of its messages (an earlier one's for a duplicate), or why none was stored."""

    entries: tuple[tuple[str, ...] | Refusal, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """The messages of a Receive in the order of their hand-over; none when the wait is over."""

    lease_until_ms: int
    messages: tuple[HandedOver, ...]


@dataclass(frozen=True, slots=True)
class Revoked:
    """count: messages that were given back. waiting: the Receive was still waiting."""

    count: int
    waiting: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """The receipts whose lease was lost; they changed nothing."""

    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Extended:
    """The leases' new end, and the receipts whose lease was lost."""

    lease_until_ms: int
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """How many messages it was done to."""

    count: int


@dataclass(frozen=True, slots=True)
class Relocated:
    """For each move whether the message lies at its target now."""

    moved: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Records of the partition below `released` may be deleted."""

    topic: int
    partition: int
    released: int


@dataclass(frozen=True, slots=True)
class JanitorIs:
    """Who cleans, and until when."""

    session: int
    until_ms: int


Outcome = (
    Done
    | Duplicate
    | UnknownSession
    | Opened
    | Assigned
    | Published
    | Received
    | Revoked
    | Settled
    | Extended
    | Counted
    | Relocated
    | Cleaned
    | JanitorIs
)


class Answer(NamedTuple):
    """The outcome of the command that session and sequence name."""

    session: int
    sequence: int
    outcome: Outcome
