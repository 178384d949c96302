"""The ledger as an adapter uses it: applies records of the log, and tells what they lead to."""

from __future__ import annotations

import heapq
import math
from itertools import islice
from typing import NamedTuple

from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, Page
from fair_kafka.ledger.codec import decode
from fair_kafka.ledger.commands import Ref, Topic
from fair_kafka.ledger.entries import Entry, State
from fair_kafka.ledger.listing import (
    DeadEntry,
    describe_dead,
    page_of_customers,
    page_of_dead_letters,
)
from fair_kafka.ledger.logs import CleanablePart, PartitionLog
from fair_kafka.ledger.machine import Machine
from fair_kafka.ledger.outcomes import Answer, Place
from fair_kafka.ledger.values import UndecodableRecord


class Pin(NamedTuple):
    """A message that keeps the records behind it from being deleted; see Relocate."""

    serial: int
    state: State
    ref: Ref


class Ledger(Machine):
    """One replica. Queries tell the state after the last applied record; they change nothing.

    undecodable_records: how many records of the log were skipped.
    """

    def __init__(self, listener: int | None = None) -> None:
        super().__init__(listener)
        self.undecodable_records = 0

    def apply_record(self, offset: int, timestamp_ms: int, data: bytes | None) -> list[Answer]:
        """Apply one record of the log as `encode` made it; one that no dispatcher wrote only lets time pass.

        Raises NewerRecord for a record of a later version of this software: nothing can be applied behind it.
        """
        try:
            commands = decode(data or b"")
        except UndecodableRecord:
            self.undecodable_records += 1
            commands = []
        return self.apply(offset, timestamp_ms, commands)

    # Time and sessions.

    def next_due_ms(self) -> int | None:
        """Tell when time has to pass at the latest (by a Tick or anything else): something ends then.

        That is a lease, a delay, the retention of a dead letter or the wait of a receive.
        """
        times = [self.waiters.next_deadline()]
        times += [time for time in (self.leases.next_time(), self.delays.next_time()) if time is not None]
        oldest = self.dead.oldest()
        if oldest is not None and oldest.death is not None:
            times.append(oldest.death.died_ms + self.sessions.dead_letter_retention_ms)
        earliest = min(times)
        return None if earliest == math.inf else int(earliest)

    def sessions_alive(self, within_ms: int) -> list[int]:
        """List the sessions that said something in the last `within_ms` before the last record."""
        return [number for number, session in self.sessions if session.last_seen_ms > self.now_ms - within_ms]

    # Customers and messages.

    def backlog(self, customer: str | None = None) -> Backlog:
        """Count messages by state, of a customer or of all."""
        if customer is None:
            return Backlog(self.ready, len(self.leases), len(self.delays), len(self.dead))
        known = self.customers.get(customer)
        return Backlog() if known is None else known.backlog()

    def policy(self, customer: str) -> CustomerPolicy | None:
        """Return the customer's policy."""
        return self.policies.get(customer)

    def customers_page(self, limit: int, cursor: str | None) -> Page[CustomerBacklog]:
        """List customers with a message in any state or a policy, by name."""
        return page_of_customers(self.customers, self.policies, limit, cursor)

    def dead_letters_page(self, customer: str | None, limit: int, cursor: str | None) -> Page[DeadEntry]:
        """List dead letters of a customer or of all, the oldest death first."""
        return page_of_dead_letters(self.dead.of(customer), limit, cursor)

    # Partitions.

    def place_of(self, customer: str) -> Place | None:
        """Return where the customer's messages go, None if it has to be assigned first."""
        return self.places.place_of(customer)

    @property
    def partition_count(self) -> int:
        """How many partitions of Topic.MESSAGES were announced."""
        return len(self.places.partitions)

    @property
    def partitions_wanted(self) -> int:
        """How many there should be, if that is more, else 0."""
        return self.places.missing

    def log_of(self, topic: int, partition: int) -> PartitionLog:
        """Return what is known of a partition: `low`, `end`, `released`, `live`."""
        return self.logs.of(topic, partition)

    def cleanable(self) -> list[CleanablePart]:
        """List the partitions for which a Clean would release something."""
        return self.logs.cleanable()

    def dead_letters_elsewhere(self, limit: int) -> list[DeadEntry]:
        """List dead letters that should be relocated to Topic.DEAD_LETTERS, since they stay for long."""
        return [describe_dead(entry) for entry in islice(self.dead.elsewhere(), limit)]

    def pins(self, span: int, limit: int) -> list[Pin]:
        """List messages that pin more than `span` offsets of their partition, the lowest offsets first.

        Only such as were handed over before: what waits for its first delivery is not worth a copy.
        Looks at each message that was handed over and is not gone.
        """
        below = {log: log.end - span for log in self.logs if log.blocks and log.end - log.low > span}
        if not below:
            return []
        pinning = (
            Pin(entry.serial, entry.state, entry.ref)
            for entry in self.entries.values()
            if entry.offset < below.get(entry.log, 0) and not _is_behind_fresh(entry)
        )
        return heapq.nsmallest(limit, pinning, key=lambda pin: pin.ref)


def _is_behind_fresh(entry: Entry) -> bool:
    """Tell whether messages that were never handed over lie before it, which pin the partition anyway."""
    fresh = entry.customer.fresh
    return entry.log.topic == Topic.MESSAGES and bool(fresh) and fresh.head_offset() < entry.offset
