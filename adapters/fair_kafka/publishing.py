"""Publishes batches: first the records, which nobody sees, then one command that makes them exist."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from broker_core import envelope
from broker_core.adapter import OutcomeUnknown
from broker_core.errors import BrokerUnavailable, DispatcherError
from broker_core.model import Message
from fair_kafka.cluster import Lane
from fair_kafka.errors import AnswerLost
from fair_kafka.ledger.commands import Publish, PublishEntry
from fair_kafka.ledger.dedup import dedup_key
from fair_kafka.ledger.outcomes import Place as CustomerPlace
from fair_kafka.ledger.outcomes import Published, Refusal
from fair_kafka.partitions import Partitions, Place, Stored
from fair_kafka.places import CustomerPlaces
from fair_kafka.records import Headers, NewRecord, build_batch
from fair_kafka.session import Session

MOST_MESSAGES_PER_COMMAND = 2000
MOST_BYTES_PER_COMMAND = 4 << 20
RECORD_OVERHEAD_BYTES, BATCH_OVERHEAD_BYTES = 64, 1024
ATTEMPTS, PAUSE_SECONDS = 5, 0.1

Outcome = str | DispatcherError


@dataclass(slots=True)
class Item:
    """One message of a batch, at `index` of the caller's."""

    index: int
    message: Message
    data: bytes
    key: bytes | None

    @property
    def size_bytes(self) -> int:
        """What its record takes at most."""
        return len(self.data) + 4 * len(self.message.customer) + RECORD_OVERHEAD_BYTES


@dataclass(slots=True)
class Run:
    """Messages of one customer that one PublishEntry tells of."""

    place: CustomerPlace
    first: int  # of the records of its partition in this batch
    items: list[Item]


@dataclass(slots=True)
class PartitionBatch:
    """What is to be stored in one partition."""

    records: list[NewRecord] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)


class Publisher:
    """Stores messages in the partitions of their customers."""

    def __init__(
        self,
        session: Session,
        partitions: Partitions,
        messages_topic: str,
        places: CustomerPlaces,
        largest_batch_bytes: Callable[[], int],
        *,
        dedup: bool,
        timeout_seconds: float,
    ) -> None:
        self._session = session
        self._partitions = partitions
        self._topic = messages_topic
        self._places = places
        self._largest_batch_bytes = largest_batch_bytes
        self._dedup = dedup
        self._timeout_seconds = timeout_seconds

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Return an id or an error for each message; a customer's messages are stored in their order."""
        outcomes: list[Outcome] = [""] * len(messages)
        failure: DispatcherError | None = None
        most_bytes = min(MOST_BYTES_PER_COMMAND, self._largest_batch_bytes() - BATCH_OVERHEAD_BYTES)
        for chunk in _chunks(map(self._item, range(len(messages)), messages), most_bytes):
            if failure is None:
                failure = await self._publish_chunk(chunk, outcomes)
            else:
                # Storing later messages after earlier ones failed would change their order.
                _fail(chunk, outcomes, _not_tried(failure))
        return outcomes

    def _item(self, index: int, message: Message) -> Item:
        key = dedup_key(message.customer, message.id) if self._dedup and message.id is not None else None
        return Item(index, message, envelope.encode(message), key)

    async def _publish_chunk(self, chunk: list[Item], outcomes: list[Outcome]) -> DispatcherError | None:
        try:
            for _ in range(ATTEMPTS):
                chunk = await self._publish_once(chunk, outcomes)
                if not chunk:
                    return None
        except AnswerLost as error:
            unknown = OutcomeUnknown(str(error))
            unknown.__cause__ = error.__cause__
            return _fail(chunk, outcomes, unknown)
        except DispatcherError as error:
            return _fail(chunk, outcomes, error)
        return _fail(chunk, outcomes, BrokerUnavailable("the partitions change hands again and again"))

    async def _publish_once(self, chunk: list[Item], outcomes: list[Outcome]) -> list[Item]:
        """Publish, and return the items whose partition was given away or cleaned meanwhile."""
        places = await self._places.of(dict.fromkeys(item.message.customer for item in chunk))
        batches = _by_partition(chunk, places)
        stored = await self._store(batches)
        entries: list[PublishEntry] = []
        runs: list[Run] = []
        for partition, batch in batches.items():
            for run in batch.runs:
                entries.append(_entry(run, stored[self._topic, partition].first_offset))
                runs.append(run)
        outcome = await self._session.run(lambda s, n: Publish(s, n, tuple(entries)), Published)
        again: list[Item] = []
        for run, ids in zip(runs, outcome.entries, strict=True):
            if isinstance(ids, Refusal):
                again += run.items
                continue
            for item, message_id in zip(run.items, ids, strict=True):
                outcomes[item.index] = message_id
        return sorted(again, key=lambda item: item.index)

    async def _store(self, batches: dict[int, PartitionBatch]) -> dict[Place, Stored]:
        """Store all batches; what failed is stored again, which is harmless: nobody was told of it."""
        waiting = {(self._topic, number): build_batch(batch.records) for number, batch in batches.items()}
        stored: dict[Place, Stored] = {}
        until = asyncio.get_running_loop().time() + self._timeout_seconds
        while True:
            failure: BrokerUnavailable | None = None
            for place, answer in (await self._partitions.store(Lane.STORE, waiting)).items():
                if isinstance(answer, BrokerUnavailable):
                    failure = answer
                else:
                    stored[place] = answer
                    del waiting[place]
            if failure is None:
                return stored
            if not failure.retryable or asyncio.get_running_loop().time() + PAUSE_SECONDS >= until:
                # Not AnswerLost: whatever was stored, it doesn't exist.
                raise BrokerUnavailable(str(failure), retryable=failure.retryable) from (
                    failure.__cause__ or failure
                )
            await asyncio.sleep(PAUSE_SECONDS)


def _chunks(items: Iterator[Item], most_bytes: int) -> Iterator[list[Item]]:
    chunk: list[Item] = []
    size_bytes = 0
    for item in items:
        if chunk and (len(chunk) == MOST_MESSAGES_PER_COMMAND or size_bytes + item.size_bytes > most_bytes):
            yield chunk
            chunk, size_bytes = [], 0
        chunk.append(item)
        size_bytes += item.size_bytes
    if chunk:
        yield chunk


def _by_partition(chunk: list[Item], places: dict[str, CustomerPlace]) -> dict[int, PartitionBatch]:
    by_customer: dict[str, list[Item]] = {}
    for item in chunk:
        by_customer.setdefault(item.message.customer, []).append(item)
    batches: dict[int, PartitionBatch] = {}
    for customer, items in by_customer.items():
        place = places[customer]
        batch = batches.setdefault(place.partition, PartitionBatch())
        run: Run | None = None
        for item in items:
            if run is None or not _continues(run.items[-1], item):
                run = Run(place, len(batch.records), [])
                batch.runs.append(run)
            run.items.append(item)
            batch.records.append((customer.encode(), item.data, _headers(item.message)))
    return batches


def _continues(last: Item, item: Item) -> bool:
    return last.message.cost == item.message.cost and (last.key is None) == (item.key is None)


def _headers(message: Message) -> Headers:
    return () if message.cost == 1 else (("cost", b"%d" % message.cost),)


def _entry(run: Run, base_offset: int) -> PublishEntry:
    message = run.items[0].message
    keys = tuple(item.key for item in run.items if item.key is not None)
    offset = base_offset + run.first
    return PublishEntry(
        message.customer, run.place.partition, run.place.epoch, offset, len(run.items), message.cost, keys
    )


def _fail(chunk: list[Item], outcomes: list[Outcome], error: DispatcherError) -> DispatcherError:
    for item in chunk:
        outcomes[item.index] = error
    return error


def _not_tried(failure: DispatcherError) -> DispatcherError:
    if isinstance(failure, OutcomeUnknown):
        return BrokerUnavailable("not sent, since the outcome of the messages before it is unknown")
    return failure
