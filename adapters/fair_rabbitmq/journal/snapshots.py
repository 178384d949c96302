"""Snapshots: a replica as parts of bounded size, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, starmap
from typing import TypeVar

from fair_rabbitmq.journal import events as e
from fair_rabbitmq.journal import journal_pb2 as pb
from fair_rabbitmq.journal.codec import decode_policy, encode_policy
from fair_rabbitmq.journal.dead_index import Dead
from fair_rabbitmq.journal.generations import KnownCustomer
from fair_rabbitmq.journal.messages import Known, State
from fair_rabbitmq.journal.replica import Replica
from fair_rabbitmq.journal.writers import Writer

T = TypeVar("T")

_ROWS_IN_A_PART = 500
_MOST_OPEN = 8  # snapshots that somebody began; those that were never finished are forgotten


def dump(replica: Replica) -> Iterator[bytes]:
    """Encode the replica as it is now, part by part; it may change while the parts are taken."""
    head = pb.State(
        time=replica.time, last_death=replica.dead.last_number, last_died_at=replica.dead.last_died_at
    )
    dead = sorted(replica.dead, key=lambda one: one.number)
    states = chain(
        [head],
        (pb.State(dispatchers=map(_writer, rows)) for rows in _slices(list(replica.writers))),
        (pb.State(customers=map(_customer, rows)) for rows in _slices(list(replica.generations))),
        (
            pb.State(policies=starmap(encode_policy, rows))
            for rows in _slices(list(replica.policies().items()))
        ),
        (pb.State(messages=starmap(_message, rows)) for rows in _slices(replica.messages.items())),
        (pb.State(messages=map(_dead, rows)) for rows in _slices(dead)),
    )
    return (state.SerializeToString() for state in states)


def load(parts: Iterable[bytes], new_replica: Callable[[], Replica] = Replica) -> Replica:
    """Rebuild the replica; raises google.protobuf.message.DecodeError for bytes that are no part."""
    replica = new_replica()
    for data in parts:
        part = pb.State.FromString(data)
        replica.time = max(replica.time, part.time)
        replica.dead.last_number = max(replica.dead.last_number, part.last_death)
        replica.dead.last_died_at = max(replica.dead.last_died_at, part.last_died_at)
        for writer in part.dispatchers:
            replica.writers.restore(Writer(writer.name, writer.number, writer.heard_at, writer.gone))
        for customer in part.customers:
            replica.generations.restore(
                KnownCustomer(customer.name, customer.oldest, customer.newest, customer.retired)
            )
        for policy in part.policies:
            replica.set_policy(policy.customer, decode_policy(policy))
        for row in part.messages:
            _restore(replica, row)
    return replica


class Collector:
    """Watches snapshots being written; tells the latest that is complete, and its parts if wanted.

    latest: the offset that it holds the state of, -1 before there is one. size_bytes: of its parts.
    """

    def __init__(self, wanted: int | None = None) -> None:
        self.wanted = wanted
        self.latest = -1
        self.size_bytes = 0
        self.parts: list[bytes] | None = None
        self._open: dict[str, tuple[int, dict[int, bytes | int]]] = {}

    def feed(self, event: e.Event) -> None:
        """Take an event in; only those of snapshots matter."""
        match event:
            case e.SnapshotBegins(name, offset):
                self._open[name] = (offset, {})
                if len(self._open) > _MOST_OPEN:
                    del self._open[next(iter(self._open))]
            case e.SnapshotPart(name, index, data) if name in self._open:
                offset, parts = self._open[name]
                parts[index] = data if offset == self.wanted else len(data)
            case e.SnapshotEnds(name, count) if name in self._open:
                offset, parts = self._open.pop(name)
                if len(parts) == count:
                    # Older ones that aren't complete by now were given up.
                    self._open = {other: begun for other, begun in self._open.items() if begun[0] > offset}
                    self._complete(offset, [parts[index] for index in sorted(parts)])
            case _:
                pass

    @property
    def begun(self) -> bool:
        """Tell whether somebody is writing a snapshot, or was interrupted while doing so."""
        return bool(self._open)

    def _complete(self, offset: int, parts: list[bytes | int]) -> None:
        self.latest = max(self.latest, offset)
        self.size_bytes = sum(part if isinstance(part, int) else len(part) for part in parts)
        if offset == self.wanted and self.parts is None:
            self.parts = [part for part in parts if isinstance(part, bytes)]


def _slices(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[start : start + _ROWS_IN_A_PART] for start in range(0, len(rows), _ROWS_IN_A_PART))


def _writer(writer: Writer) -> pb.Dispatcher:
    return pb.Dispatcher(name=writer.name, number=writer.number, gone=writer.gone, heard_at=writer.heard_at)


def _customer(customer: KnownCustomer) -> pb.Customer:
    return pb.Customer(
        name=customer.name, oldest=customer.oldest, newest=customer.newest, retired=customer.retired
    )


def _message(message_id: str, known: Known) -> pb.Known:
    return pb.Known(
        id=message_id,
        customer=known.customer,
        state=known.state,
        attempts=known.attempts,
        owner=known.owner,
        at=known.at,
    )


def _dead(dead: Dead) -> pb.Known:
    return pb.Known(
        id=dead.id,
        customer=dead.customer,
        state=State.DEAD,
        owner=dead.reviving or "",
        at=dead.died_at,
        place=dead.place,
        death=dead.number,
    )


def _restore(replica: Replica, row: pb.Known) -> None:
    if row.state == State.DEAD:
        replica.dead.restore(Dead(row.id, row.customer, row.place, row.at, row.death, row.owner or None))
    else:
        known = Known(row.customer, State(row.state), row.attempts, row.owner, row.at)
        replica.messages.put(row.id, known)
