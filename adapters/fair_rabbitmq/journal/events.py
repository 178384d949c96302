"""What the journal tells: everything about a message or a customer that isn't just 'ready in its queue'.

Every event belongs to a record, which names the dispatcher that wrote it. The order of the journal
decides: of two events that contradict one another the later one counts, or the one that comes too late
changes nothing, as said below. Times are milliseconds since 1970 (UTC).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from broker_core.model import CustomerPolicy

# Customers.


@dataclass(frozen=True, slots=True)
class CustomerSeen:
    """The queue of this generation exists: consume it. Changes nothing when a later one is known."""

    customer: str
    generation: int


@dataclass(frozen=True, slots=True)
class CustomerRetired:
    """Nobody publishes into this generation any more; what it holds is drained before the next one."""

    customer: str
    generation: int


@dataclass(frozen=True, slots=True)
class CustomerRemoved:
    """The queue of this generation, and of all before it, is deleted.

    With the last one the attempts of the customer's messages are forgotten, but not delays and deaths.
    """

    customer: str
    generation: int


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The customer's policy from here on; None removes it."""

    customer: str
    policy: CustomerPolicy | None


@dataclass(frozen=True, slots=True)
class Purged:
    """All delays of the customer are void and its attempts forgotten; dead letters stay.

    Leases are void too: whoever has one acks its message and writes Ended.
    """

    customer: str


# Messages.


@dataclass(frozen=True, slots=True)
class Lease:
    """A message that the writer of the record has handed over, until a time of its own clock."""

    id: str
    customer: str
    until: int


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Leased by the writer, one attempt more. Whatever was known of the message before has ended."""

    leases: tuple[Lease, ...]


@dataclass(frozen=True, slots=True)
class Extended:
    """Leased by the writer until then, no attempt more. Changes nothing for messages that aren't known.

    Ends a delay whose message the same writer still has. Also tells anew what a dispatcher still holds
    that was wrongly thought to be gone.
    """

    leases: tuple[Lease, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """Processed: nothing is remembered of these messages."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Released:
    """Given back: ready again, the attempt isn't counted."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Returned:
    """Nacked without a delay, or the lease has ended by time: ready again, the attempt stays counted."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delay:
    """A message that becomes ready at a time; the pair of id and due names this delay."""

    id: str
    customer: str
    due: int


@dataclass(frozen=True, slots=True)
class Delayed:
    """Not leased any more, ready when due. Written before the message is put among the delayed ones."""

    delays: tuple[Delay, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """In the customers' queues again. A delay that isn't the message's present one changes nothing."""

    delays: tuple[tuple[str, int], ...]  # id, due


@dataclass(frozen=True, slots=True)
class Death:
    """A dead letter; place is where its payload is, and names this death."""

    id: str
    customer: str
    place: int
    died_at: int


@dataclass(frozen=True, slots=True)
class Died:
    """Kept for people. Written when the payloads are stored, before the messages are acked."""

    deaths: tuple[Death, ...]


@dataclass(frozen=True, slots=True)
class Reviving:
    """The writer wants to redrive these; those that another dispatcher that lives has claimed stay its."""

    deaths: tuple[tuple[str, int], ...]  # id, place


@dataclass(frozen=True, slots=True)
class RevivingFailed:
    """The writer gives up its claims; the dead letters stay."""

    deaths: tuple[tuple[str, int], ...]  # id, place


@dataclass(frozen=True, slots=True)
class Revived:
    """In the customers' queues again, with no attempt; those that the writer has claimed."""

    deaths: tuple[tuple[str, int], ...]  # id, place


@dataclass(frozen=True, slots=True)
class DeadRemoved:
    """No dead letters any more. Those that somebody is redriving stay."""

    deaths: tuple[tuple[str, int], ...]  # id, place


# Dispatchers.


@dataclass(frozen=True, slots=True)
class Alive:
    """The writer lives. Every other event says so too."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A dispatcher was closed or isn't heard of: what it had leased is leased no more, attempts stay counted.

    Whatever it writes afterwards makes it live again.
    """

    dispatcher: str


@dataclass(frozen=True, slots=True)
class Barrier:
    """Says how far the writer has read once it comes back to it."""

    number: int


@dataclass(frozen=True, slots=True)
class Note:
    """Something for one dispatcher, or for all when `to` is empty, that the replica doesn't keep."""

    to: str
    topic: str
    body: bytes = b""


# Snapshots: all that the events up to an offset amount to.


@dataclass(frozen=True, slots=True)
class SnapshotBegins:
    """The following parts of this name hold the state after the record at the offset."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class SnapshotPart:
    """Some of the state, encoded; parts are numbered from 0."""

    name: str
    index: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SnapshotEnds:
    """The snapshot is complete if that many parts were seen."""

    name: str
    parts: int


Event = (
    CustomerSeen
    | CustomerRetired
    | CustomerRemoved
    | PolicySet
    | Purged
    | HandedOver
    | Extended
    | Ended
    | Released
    | Returned
    | Delayed
    | Due
    | Died
    | Reviving
    | RevivingFailed
    | Revived
    | DeadRemoved
    | Alive
    | Gone
    | Barrier
    | Note
    | SnapshotBegins
    | SnapshotPart
    | SnapshotEnds
)


@dataclass(frozen=True, slots=True)
class Record:
    """Events that one dispatcher wrote at once.

    number: grows with each record of the dispatcher; a record that repeats one is ignored.
    written_at: by the writer's clock. snapshot: where reading has to begin, the offset of the last record
    that the latest complete snapshot holds, -1 if there is none; None if the writer doesn't know yet.
    """

    dispatcher: str
    number: int
    written_at: int
    events: tuple[Event, ...]
    snapshot: int | None = None
