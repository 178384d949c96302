"""Batches of records, as Kafka stores them: made and read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

MAGIC = 2
NOBODY = (
    -1
)  # records carry no producer id: a record counts only if the ledger names it, so copies are harmless
UNBOUNDED_BYTES = 1 << 31

Headers = Sequence[tuple[str, bytes]]
NewRecord = tuple[bytes | None, bytes, Headers]  # key, value, headers


class StoredRecord(NamedTuple):
    """A record that was read. value: None where the stored bytes are damaged."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


def build_batch(records: Iterable[NewRecord]) -> bytes:
    """Encode records as one batch, which Kafka stores whole or not at all."""
    builder = DefaultRecordBatchBuilder(MAGIC, 0, 0, NOBODY, NOBODY, NOBODY, UNBOUNDED_BYTES)
    for number, (key, value, headers) in enumerate(records):
        builder.append(number, None, key, value, list(headers))
    return bytes(builder.build())


def read_batches(data: bytes, begin: int = 0) -> Iterator[tuple[int, list[StoredRecord]]]:
    """Decode whole batches: for each the offset behind it and its records.

    One that is cut is left out, and so are those that end before the offset `begin`.
    """
    batches = MemoryRecords(data)
    while batches.has_next():
        batch = batches.next_batch()
        after: int = batch.next_offset
        if after <= begin:
            continue
        if batch.is_control_batch:
            yield after, []
        elif not batch.validate_crc():
            yield after, [StoredRecord(at, 0, None, None) for at in range(batch.base_offset, after)]
        else:
            yield after, _records(batch, after)


def read_values(data: bytes) -> tuple[int, list[tuple[int, bytes | None]]]:
    """Decode whole batches: the offset behind the last one (0 without any), offset and value of each record.

    A value is None where the stored bytes are damaged. Quicker than `read_batches` where that is all.
    """
    after = 0
    values: list[tuple[int, bytes | None]] = []
    batches = MemoryRecords(data)
    while batches.has_next():
        batch: Any = batches.next_batch()
        after = batch.next_offset
        if batch.is_control_batch:
            continue
        try:
            if batch.validate_crc():
                values += [(record.offset, record.value or b"") for record in batch]
                continue
        except CorruptRecordException:
            pass
        values += [(at, None) for at in range(batch.base_offset, after)]
    return after, values


def _records(batch: Any, after: int) -> list[StoredRecord]:
    try:
        return [
            StoredRecord(record.offset, record.timestamp, record.key, record.value or b"") for record in batch
        ]
    except CorruptRecordException:
        return [StoredRecord(at, 0, None, None) for at in range(batch.base_offset, after)]
