"""Copies messages that would keep a partition's records from being deleted for long."""

from __future__ import annotations

from fair_kafka.cluster import Lane
from fair_kafka.fetching import Fetcher
from fair_kafka.ledger.commands import Command, Gone, Move, Ref, Relocate, Topic, Vanished
from fair_kafka.ledger.entries import State
from fair_kafka.ledger.outcomes import Counted, Relocated
from fair_kafka.partitions import Partitions, only
from fair_kafka.records import build_batch
from fair_kafka.replica import Replica
from fair_kafka.session import Session
from fair_kafka.topics import TopicNames

# A message may keep so many newer records of its partition from being deleted.
MOST_SPAN = 10_000
MOST_PER_ROUND = 200
MOST_BYTES = 4 << 20

Item = tuple[int, Ref]


class Relocator:
    """Moves dead letters to a topic of their own, and others that lag far behind to the topic for that."""

    def __init__(
        self, session: Session, partitions: Partitions, replica: Replica, fetcher: Fetcher, names: TopicNames
    ) -> None:
        self._session = session
        self._partitions = partitions
        self._replica = replica
        self._fetcher = fetcher
        self._topics = {Topic.RETRY: names.retry, Topic.DEAD_LETTERS: names.dead}

    def chosen(self) -> dict[Topic, list[Item]]:
        """List what should be moved, and where to."""
        ledger = self._replica.ledger
        dead = [(entry.serial, entry.ref) for entry in ledger.dead_letters_elsewhere(MOST_PER_ROUND)]
        pins = ledger.pins(MOST_SPAN, MOST_PER_ROUND)
        lagging = [(pin.serial, pin.ref) for pin in pins if pin.state is not State.DEAD]
        dead += [
            (p.serial, p.ref) for p in pins if p.state is State.DEAD and p.ref.topic == Topic.DEAD_LETTERS
        ]
        found = {Topic.RETRY: lagging, Topic.DEAD_LETTERS: dead}
        return {topic: items for topic, items in found.items() if items}

    async def move(self, chosen: dict[Topic, list[Item]]) -> None:
        """Copy payloads and tell the ledger; the records left behind are deleted like any other."""
        for topic, items in chosen.items():
            await self._move_to(topic, items)

    async def _move_to(self, topic: Topic, items: list[Item]) -> None:
        payloads = await self._fetcher.fetch(ref for _, ref in items)
        gone = tuple(Gone(serial, ref) for serial, ref in items if ref in payloads.vanished)
        if gone:
            await self._session.run(lambda s, n: Vanished(s, n, gone), Counted)
        copies: list[tuple[Item, bytes]] = []
        size_bytes = 0
        for item in items:
            # Damaged bytes are copied as nothing: such a message can't be decoded here nor there.
            payload = b"" if item[1] in payloads.damaged else payloads.found.get(item[1])
            if payload is None or (copies and size_bytes + len(payload) > MOST_BYTES):
                continue
            copies.append((item, payload))
            size_bytes += len(payload)
        if copies:
            await self._copy(topic, copies)

    async def _copy(self, topic: Topic, copies: list[tuple[Item, bytes]]) -> None:
        batch = build_batch([(None, payload, ()) for _, payload in copies])
        stored = only(await self._partitions.store(Lane.STORE, {(self._topics[topic], 0): batch}))
        moves = tuple(
            Move(serial, source, Ref(topic, 0, stored.first_offset + place))
            for place, ((serial, source), _) in enumerate(copies)
        )

        def relocate(session: int, sequence: int) -> Command:
            return Relocate(session, sequence, moves)

        await self._session.run(relocate, Relocated)
