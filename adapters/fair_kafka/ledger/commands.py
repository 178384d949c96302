"""Commands: what dispatchers append to the ledger, and the values that they are made of.

All times are whole milliseconds. `session` (an unsigned number of 64 bits, drawn at random when a
dispatcher opens) and `sequence` (from 1, a new one for each command) name a command for ever: a second
copy of it in the log changes nothing. The answers are in `outcomes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from broker_core.adapter import Verb
from broker_core.model import CustomerPolicy

KEY_BYTES = 16
MOST_MESSAGES_PER_RECORD = (1 << 24) - 1


class Topic(IntEnum):
    """In which of the namespace's topics a payload lies."""

    MESSAGES = 0
    RETRY = 1
    DEAD_LETTERS = 2


class Ref(NamedTuple):
    """Where the payload of one message lies."""

    topic: int
    partition: int
    offset: int


class PublishEntry(NamedTuple):
    """A run of one customer's messages of equal cost, at consecutive offsets of Topic.MESSAGES.

    partition, epoch: as AssignPartitions or `Ledger.place_of` gave them. size: how many messages, 1 and up.
    keys: the dedup key of each message, 16 bytes each (`dedup_key`), or () when none of them has one.
    """

    customer: str
    partition: int
    epoch: int
    base_offset: int
    size: int
    cost: int
    keys: tuple[bytes, ...] = ()


class Held(NamedTuple):
    """Messages that one Receive handed over, by that Receive's session and sequence and their serials."""

    session: int
    sequence: int
    serials: tuple[int, ...]


class Move(NamedTuple):
    """One payload that was copied from one place to another."""

    serial: int
    source: Ref
    target: Ref


class Gone(NamedTuple):
    """A message whose payload is no longer where it was."""

    serial: int
    source: Ref


@dataclass(frozen=True, slots=True)
class Command:
    """What all commands have."""

    session: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Open(Command):
    """Begin a session → Opened. It comes first; a session that says nothing for an hour is forgotten.

    hashed_partitions: 0 for a partition per customer; else customers are hashed over that many. The
    first Open of a namespace decides it. max_partitions: the latest Open decides it.
    """

    quantum: int
    max_attempts: int
    dedup_window_ms: int
    dead_letter_retention_ms: int
    max_partitions: int
    partitions_step: int = 16
    hashed_partitions: int = 0


@dataclass(frozen=True, slots=True)
class Close(Command):
    """End a session → Done. Its waiting receives are over; its leases go on."""


@dataclass(frozen=True, slots=True)
class Tick(Command):
    """Let time pass → Done."""


@dataclass(frozen=True, slots=True)
class AssignPartitions(Command):
    """Give each customer a partition → Assigned. share: rather share one than ask for more partitions.

    Name those too that have a place and are to be published with: it is kept for them for a minute.
    """

    customers: tuple[str, ...]
    share: bool = False


@dataclass(frozen=True, slots=True)
class PartitionsAdded(Command):
    """Say that Topic.MESSAGES has `count` partitions, at least → Done."""

    count: int


@dataclass(frozen=True, slots=True)
class Publish(Command):
    """Make messages exist, whose records are in the broker already → Published. All at once."""

    entries: tuple[PublishEntry, ...]


@dataclass(frozen=True, slots=True)
class Receive(Command):
    """Lease up to max_messages, fairly → Received, with the application of a later command if wait_ms > 0."""

    max_messages: int
    lease_ms: int
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class Revoke(Command):
    """Undo a Receive of the same session → Revoked(how many messages were given back).

    Wherever it is: a waiting one is taken off, what it took is ready again without an attempt counted,
    and one that comes later in the log is a Duplicate.
    """

    receive_sequence: int


@dataclass(frozen=True, slots=True)
class Settle(Command):
    """End leases → Settled. delay_ms counts for NACK, reason for NACK and DEAD_LETTER."""

    verb: Verb
    held: tuple[Held, ...]
    delay_ms: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Extend(Command):
    """Let leases end in lease_ms → Extended."""

    held: tuple[Held, ...]
    lease_ms: int


@dataclass(frozen=True, slots=True)
class SetPolicy(Command):
    """Replace a customer's policy (weight and paused are kept), None removes it → Done."""

    customer: str
    policy: CustomerPolicy | None


@dataclass(frozen=True, slots=True)
class Purge(Command):
    """Remove what is ready, leased or delayed of a customer → Counted."""

    customer: str


@dataclass(frozen=True, slots=True)
class EndDeadLetters(Command):
    """Redrive or remove dead letters of a customer, all if serials is None → Counted."""

    customer: str
    serials: tuple[int, ...] | None
    redrive: bool


@dataclass(frozen=True, slots=True)
class Vanished(Command):
    """Say that payloads are gone from the broker: their messages are removed → Counted."""

    gone: tuple[Gone, ...]


@dataclass(frozen=True, slots=True)
class Undecodable(Command):
    """Make dead letters of leased messages that can't be decoded → Settled. No attempt is counted."""

    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Relocate(Command):
    """Say that payloads were copied → Relocated. No effect on a message that is gone or lies elsewhere."""

    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Clean(Command):
    """Release a partition's records below up_to → Cleaned, with how far they really may be deleted.

    Never further than the lowest live message and the end of what was announced. Delete them only
    after this was applied: from then on, no Publish can name them. orphans: also beyond the end of what
    was announced, for records whose publisher is dead; one that was only slow has to produce them again.
    """

    topic: int
    partition: int
    up_to: int
    orphans: bool = False


@dataclass(frozen=True, slots=True)
class Janitor(Command):
    """Claim the role of the one that cleans, for `ms` from now → JanitorIs. The holder may renew it."""

    ms: int
