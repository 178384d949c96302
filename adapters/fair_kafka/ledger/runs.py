"""Runs of messages: made of single ones, and as bytes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import NamedTuple

from fair_kafka.ledger import ledger_pb2 as pb
from fair_kafka.ledger.commands import KEY_BYTES, MOST_MESSAGES_PER_RECORD, PublishEntry
from fair_kafka.ledger.fresh import COST_BITS, PARTITION_BITS
from fair_kafka.ledger.values import UndecodableRecord, split_keys


class ProducedRecord(NamedTuple):
    """One message whose record is in the broker; key as in PublishEntry, None without."""

    customer: str
    partition: int
    epoch: int
    offset: int
    cost: int
    key: bytes | None = None


def runs_of(records: Iterable[ProducedRecord]) -> tuple[PublishEntry, ...]:
    """Join neighbours to runs, in their order: message n of the records is message n of the runs."""
    runs: list[PublishEntry] = []
    first: ProducedRecord | None = None
    size = 0
    keys: list[bytes] = []
    for record in records:
        if (
            first is not None
            and record.offset == first.offset + size
            and record[:3] == first[:3]
            and record.cost == first.cost
            and (record.key is None) == (first.key is None)
        ):
            size += 1
        else:
            if first is not None:
                runs.append(_run(first, size, keys))
            first, size, keys = record, 1, []
        if record.key is not None:
            keys.append(record.key)
    if first is not None:
        runs.append(_run(first, size, keys))
    return tuple(runs)


def _run(first: ProducedRecord, size: int, keys: list[bytes]) -> PublishEntry:
    return PublishEntry(*first[:4], size, first.cost, tuple(keys))


def encode_entries(entries: Iterable[PublishEntry], into: pb.Publish) -> None:
    """Append the entries of a Publish."""
    customers, partitions, epochs, offsets, sizes, costs, keys = zip(*entries, strict=True)
    into.customers.extend(customers)
    into.partitions.extend(partitions)
    into.epochs.extend(epochs)
    into.base_offsets.extend(offsets)
    into.sizes.extend(sizes)
    into.costs.extend(costs)
    if any(keys):
        into.keyed.extend([index for index, of_entry in enumerate(keys) if of_entry])
        into.keys = b"".join([b"".join(of_entry) for of_entry in keys])


def decode_entries(publish: pb.Publish) -> tuple[PublishEntry, ...]:
    """Return the entries of a Publish; raise UndecodableRecord for what can't be one."""
    columns = (
        publish.customers,
        publish.partitions,
        publish.epochs,
        publish.base_offsets,
        publish.sizes,
        publish.costs,
    )
    _check(publish)
    count = len(publish.sizes)
    if any(len(column) != count for column in columns):
        raise UndecodableRecord("columns of different lengths")
    keys = _keys_of_runs(publish) if publish.keyed else repeat((), count)
    return tuple(map(PublishEntry._make, zip(*columns, keys, strict=True)))


def _keys_of_runs(publish: pb.Publish) -> list[tuple[bytes, ...]]:
    keys = split_keys(publish.keys)
    runs: list[tuple[bytes, ...]] = [()] * len(publish.sizes)
    at = 0
    for index in publish.keyed:
        if index < len(runs):
            size = publish.sizes[index]
            runs[index] = tuple(keys[at : at + size])
            at += size
    if at * KEY_BYTES != len(publish.keys):
        raise UndecodableRecord("keys that belong to no message")
    return runs


def _check(publish: pb.Publish) -> None:
    if not publish.sizes or not min(publish.sizes) or sum(publish.sizes) > MOST_MESSAGES_PER_RECORD:
        raise UndecodableRecord("a run without messages, or too many")
    if max(publish.costs, default=0) >> COST_BITS or max(publish.partitions, default=0) >> PARTITION_BITS:
        raise UndecodableRecord("a cost or a partition out of range")
    if max(publish.base_offsets, default=0) >> 62:
        raise UndecodableRecord("an offset out of range")
