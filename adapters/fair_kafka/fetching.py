"""Payloads by reference: read from exactly the partitions and offsets that are needed, many at once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

from broker_core.errors import BrokerUnavailable
from fair_kafka.cluster import Lane
from fair_kafka.ledger.commands import Ref, Topic
from fair_kafka.partitions import EARLIEST, LATEST, Partitions, Place
from fair_kafka.records import read_values
from fair_kafka.topics import TopicNames

# Of a partition at a time: the fewer partitions, the more of each, since the next visits want it.
FEWEST_BYTES, MOST_BYTES = 16 << 10, 1 << 20
BYTES_PER_REQUEST = 512 << 10
MOST_BYTES_PER_REQUEST = 16 << 20
ATTEMPTS, PAUSE_SECONDS = 3, 0.1
MANY_PARTITIONS = 20
# Below that, what is read ahead might drop what was read ahead just before.
FEWEST_CACHE_BYTES = 2 * MOST_BYTES_PER_REQUEST
# What an entry of the cache costs beside its bytes.
ENTRY_BYTES = 300


class PayloadCache:
    """Keeps payloads that were read together with others, the latest read longest, up to so many bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._payloads: OrderedDict[tuple[int, int, int], bytes] = OrderedDict()

    def __contains__(self, ref: Ref) -> bool:
        return ref in self._payloads

    def take(self, refs: Iterable[Ref], found: dict[Ref, bytes]) -> list[Ref]:
        """Move the payloads that are here to `found`; return the refs of the others."""
        pop = self._payloads.pop
        missing: list[Ref] = []
        size_bytes = 0
        for ref in refs:
            payload = pop(ref, None)
            if payload is None:
                missing.append(ref)
            else:
                found[ref] = payload
                size_bytes += len(payload) + ENTRY_BYTES
        self._bytes -= size_bytes
        return missing

    def put(self, topic: int, partition: int, values: Iterable[tuple[int, bytes]]) -> None:
        """Keep payloads by their offsets, and forget the oldest ones where there is no room."""
        payloads = self._payloads
        size_bytes = 0
        for offset, payload in values:
            # A plain tuple is equal to a Ref, and quicker to make for each record.
            ref = topic, partition, offset
            if ref not in payloads:
                payloads[ref] = payload
                size_bytes += len(payload) + ENTRY_BYTES
        self._bytes += size_bytes
        while self._bytes > self._most_bytes:
            _, dropped = self._payloads.popitem(last=False)
            self._bytes -= len(dropped) + ENTRY_BYTES


@dataclass(slots=True)
class Payloads:
    """What was found: payloads, the refs whose record is gone, the refs whose record is damaged."""

    found: dict[Ref, bytes] = field(default_factory=dict)
    vanished: set[Ref] = field(default_factory=set)
    damaged: set[Ref] = field(default_factory=set)


class Fetcher:
    """Reads payloads. Concurrent. What is likely to be wanted next is read ahead by a task of its own."""

    def __init__(self, partitions: Partitions, names: TopicNames, cache_bytes: int) -> None:
        self._partitions = partitions
        self._topics = {
            Topic.MESSAGES: names.messages,
            Topic.RETRY: names.retry,
            Topic.DEAD_LETTERS: names.dead,
        }
        self._numbers = {name: int(topic) for topic, name in self._topics.items()}
        self._cache = PayloadCache(cache_bytes)
        self._reads_ahead = cache_bytes >= FEWEST_CACHE_BYTES
        self._reading: asyncio.Task[None] | None = None
        self._being_read: dict[Place, tuple[int, int]] = {}

    async def fetch(
        self, refs: Iterable[Ref], upcoming: Callable[[int], Iterable[Ref]] = lambda _: ()
    ) -> Payloads:
        """Return the payloads of all refs, from memory or from the brokers, which are asked a few times.

        upcoming: names so many refs that are likely to be wanted next. Where many partitions are asked for
        a little each, those are fetched in the same request.
        """
        payloads = Payloads()
        missing = self._from_cache(refs, payloads)
        if self._reading is not None and not self._being_read.keys().isdisjoint(missing):
            await asyncio.wait([self._reading])
            missing = self._from_cache(self._refs(missing), payloads)
        sizes = dict.fromkeys(missing, _size_bytes(len(missing)))
        ahead = self._ahead(upcoming(len(missing))) if len(missing) >= MANY_PARTITIONS else {}
        failures = 0
        while missing:
            failure = await self._fetch_some(missing, sizes, ahead, payloads)
            ahead = {}
            if failure is not None:
                failures += 1
                if failures == ATTEMPTS or not failure.retryable:
                    raise failure
                await asyncio.sleep(PAUSE_SECONDS)
        return payloads

    def read_ahead(self, refs: Iterable[Ref], size: int) -> None:
        """Begin to read these refs if most of the first `size` aren't here, unless it is going on already.

        What fails is left to `fetch`.
        """
        if self._reading is not None or not self._reads_ahead:
            return
        coming = iter(refs)
        first = list(islice(coming, size))
        if 2 * sum(ref not in self._cache for ref in first) <= len(first):
            return
        wanted = self._ahead([*first, *coming])
        size_bytes = _size_bytes(len(wanted))
        self._being_read = {place: (offset, size_bytes) for place, (offset, _) in wanted.items()}
        self._reading = asyncio.create_task(self._read_ahead(), name="fair-dispatcher-read-ahead")

    async def _read_ahead(self) -> None:
        try:
            answers = await self._partitions.fetch(
                Lane.FETCH, self._being_read, most_bytes=MOST_BYTES_PER_REQUEST
            )
            for place, answer in answers.items():
                if not isinstance(answer, BrokerUnavailable):
                    self._take_in(place, answer.data, self._being_read[place][0], set(), Payloads())
        finally:
            self._reading, self._being_read = None, {}

    async def close(self) -> None:
        """Stop reading ahead. Idempotent."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _from_cache(self, refs: Iterable[Ref], payloads: Payloads) -> dict[Place, set[int]]:
        """Take what is here, and tell what isn't."""
        missing: dict[Place, set[int]] = {}
        for ref in self._cache.take(refs, payloads.found):
            missing.setdefault((self._topics[Topic(ref.topic)], ref.partition), set()).add(ref.offset)
        return missing

    def _refs(self, missing: dict[Place, set[int]]) -> list[Ref]:
        return [
            Ref(self._numbers[topic], partition, offset)
            for (topic, partition), offsets in missing.items()
            for offset in offsets
        ]

    def _ahead(self, refs: Iterable[Ref]) -> dict[Place, tuple[int, int]]:
        # Customers that share a partition need it from the first of their records on.
        firsts: dict[Place, int] = {}
        for ref in refs:
            if ref not in self._cache:
                place = self._topics[Topic(ref.topic)], ref.partition
                firsts[place] = min(ref.offset, firsts.get(place, ref.offset))
        return {place: (offset, FEWEST_BYTES) for place, offset in firsts.items()}

    async def _fetch_some(
        self,
        missing: dict[Place, set[int]],
        sizes: dict[Place, int],
        ahead: dict[Place, tuple[int, int]],
        payloads: Payloads,
    ) -> BrokerUnavailable | None:
        wanted = {place: (min(offsets), sizes[place]) for place, offsets in missing.items()}
        wanted = {**wanted, **{place: at for place, at in ahead.items() if place not in wanted}}
        answers = await self._partitions.fetch(Lane.FETCH, wanted, most_bytes=MOST_BYTES_PER_REQUEST)
        failure: BrokerUnavailable | None = None
        for place, answer in answers.items():
            offsets = missing.get(place)
            if offsets is None:
                if not isinstance(answer, BrokerUnavailable):
                    self._take_in(place, answer.data, ahead[place][0], set(), payloads)
                continue
            if isinstance(answer, BrokerUnavailable):
                failure = answer
            elif answer.out_of_range or (not answer.data and min(offsets) >= answer.end):
                failure = await self._drop_unreachable(place, offsets, payloads) or failure
            elif self._take_in(place, answer.data, min(offsets), offsets, payloads):
                # Those that got nothing come first in the next request, see below.
                missing[place] = missing.pop(place)
            else:
                # A broker gives a batch that is larger than was asked for only of the first partition.
                sizes[place] = min(2 * sizes[place], MOST_BYTES)
            if not offsets:
                del missing[place]
        return failure

    def _take_in(self, place: Place, data: bytes, begin: int, offsets: set[int], payloads: Payloads) -> bool:
        """Sort records into those that are wanted and others that may be; tell whether there were any.

        begin: what lies before it was handed over earlier.
        """
        topic, partition = self._numbers[place[0]], place[1]
        reached, values = read_values(data)
        others: list[tuple[int, bytes]] = []
        for offset, value in values:
            if offset in offsets:
                offsets.discard(offset)
                if value is None:
                    payloads.damaged.add(Ref(topic, partition, offset))
                else:
                    payloads.found[Ref(topic, partition, offset)] = value
            elif value is not None and offset >= begin:
                others.append((offset, value))
        self._cache.put(topic, partition, others)
        self._note_gone(place, {offset for offset in offsets if offset < reached}, offsets, payloads)
        return reached > 0

    async def _drop_unreachable(
        self, place: Place, offsets: set[int], payloads: Payloads
    ) -> BrokerUnavailable | None:
        # A new leader may show less than it has for a moment; it doesn't answer questions for the end then.
        starts = await self._partitions.ends([place], EARLIEST)
        ends = await self._partitions.ends([place], LATEST)
        start, end = starts[place], ends[place]
        if isinstance(start, BrokerUnavailable):
            return start
        if isinstance(end, BrokerUnavailable):
            return end
        gone = {offset for offset in offsets if not start <= offset < end}
        self._note_gone(place, gone, offsets, payloads)
        return None

    def _note_gone(self, place: Place, gone: set[int], offsets: set[int], payloads: Payloads) -> None:
        offsets -= gone
        topic = self._numbers[place[0]]
        payloads.vanished.update(Ref(topic, place[1], offset) for offset in gone)


def _size_bytes(partitions: int) -> int:
    return max(FEWEST_BYTES, BYTES_PER_REQUEST // max(1, partitions))
