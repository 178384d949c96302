"""What is gone leaves the brokers, also what nobody knows of, and whoever did the cleaning."""

from __future__ import annotations

import asyncio
import logging

import pytest

from broker_core.conformance.consuming import collect, messages
from broker_core.conformance.polling import Deadline
from broker_core.model import Backlog, Message
from fair_kafka import cleaning, relocating
from fair_kafka.cluster import Lane
from fair_kafka.records import build_batch
from tests.adapters.kafka.stage import Stage
from tests.servers.interface import BrokerServer
from tests.servers.kafka_local import LocalKafka


async def until_empty(stage: Stage, deadline: Deadline, **settings: object) -> None:
    """Return when no topic of messages holds a record."""

    async def empty() -> bool:
        kept = (stage.names.messages, stage.names.retry, stage.names.dead)
        spans = await stage.spans(**settings)
        return all(start == end for (name, _), (start, end) in spans.items() if name in kept)

    await deadline.until(empty, "topics without records")


async def test_acked_messages_leave_all_partitions(stage: Stage, deadline: Deadline) -> None:
    dispatcher = await stage.open_here()
    await dispatcher.publish([message for name in "abcdef" for message in messages(name, 20)])
    await dispatcher.ack(await collect(dispatcher, 120, deadline))
    await until_empty(stage, deadline)
    assert await dispatcher.backlog() == Backlog()


async def test_records_that_nobody_announced_leave_too(
    stage: Stage, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning, "SWEEP_SECONDS", 0.5)
    dispatcher, inside = await stage.dispatcher_and_inside()
    orphan = {(stage.names.messages, 3): build_batch([(b"a", b"x", ())])}
    await inside.partitions.store(Lane.STORE, orphan)

    async def swept() -> bool:
        await dispatcher.publish(Message("a"))
        await dispatcher.ack(await dispatcher.receive(1, wait=1))
        return (await stage.spans())[stage.names.messages, 3] == (1, 1)

    await deadline.until(swept, "a sweep")


async def test_a_dead_letter_keeps_nothing_else(stage: Stage, deadline: Deadline) -> None:
    dispatcher = await stage.open_here()
    await dispatcher.publish(messages("a", 10))
    held = await collect(dispatcher, 10, deadline)
    await dispatcher.dead_letter(held[0], reason="no")
    await dispatcher.ack(held[1:])

    async def moved() -> bool:
        spans = await stage.spans()
        return spans[stage.names.dead, 0] == (0, 1) and all(
            start == end for (name, _), (start, end) in spans.items() if name == stage.names.messages
        )

    await deadline.until(moved, "the dead letter in its own topic")
    (letter,) = await dispatcher.dead_letters("a")
    assert letter.message.payload == held[0].message.payload
    assert await dispatcher.redrive("a") == 1
    (again,) = await dispatcher.receive(1, wait=5)
    assert again.message == held[0].message
    await dispatcher.ack(again)
    await until_empty(stage, deadline)


async def test_a_message_that_lags_behind_is_copied(
    stage: Stage, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relocating, "MOST_SPAN", 500)
    dispatcher = await stage.open_here(lease_seconds=300)
    await dispatcher.publish(Message("a", b"slow"))
    slow = await collect(dispatcher, 1, deadline)
    await dispatcher.publish(messages("a", 2000))
    await dispatcher.ack(await collect(dispatcher, 2000, deadline))

    async def copied() -> bool:
        spans = await stage.spans()
        return spans[stage.names.retry, 0] == (0, 1) and all(
            start == end for (name, _), (start, end) in spans.items() if name == stage.names.messages
        )

    await deadline.until(copied, "the slow message in the topic for that")
    await dispatcher.release(slow)
    (again,) = await dispatcher.receive(1, wait=5)
    assert again.message.payload == b"slow"
    assert again.attempt == 1
    await dispatcher.ack(again)
    await until_empty(stage, deadline)


async def test_another_dispatcher_goes_on_cleaning(
    stage: Stage, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning, "ROLE_MS", 1500)
    monkeypatch.setattr(cleaning, "RENEW_MS", 700)
    first = await stage.open_here()
    await first.publish(messages("a", 5))
    held = await collect(first, 5, deadline)
    await first.ack(held[:4])
    await asyncio.sleep(1.5)  # it has taken the role by then, or another will do as well
    await first.ack(held[4])
    await first.close()
    await stage.open_here()
    await until_empty(stage, deadline)


async def test_vanished_records_are_reported_and_their_neighbours_delivered(
    stage: Stage, deadline: Deadline, caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher, inside = await stage.dispatcher_and_inside(cache_bytes=0)
    await dispatcher.publish([*messages("a", 4), *messages("b", 4)])
    place = inside.replica.ledger.place_of("a")
    assert place is not None
    await inside.partitions.delete_before({(stage.names.messages, place.partition): 3})
    with caplog.at_level(logging.ERROR):
        received = await collect(dispatcher, 5, deadline)
    assert sorted(delivery.customer for delivery in received) == ["a", "b", "b", "b", "b"]
    assert "3 messages vanished" in caplog.text
    await dispatcher.ack(received)
    assert await dispatcher.backlog() == Backlog()
    assert list(await dispatcher.customers()) == []


async def test_a_leased_message_whose_record_vanished_never_comes_again(
    stage: Stage, deadline: Deadline, caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher, inside = await stage.dispatcher_and_inside(cache_bytes=0, lease_seconds=0.3)
    await dispatcher.publish(messages("a", 4))
    held = await collect(dispatcher, 4, deadline)
    place = inside.replica.ledger.place_of("a")
    assert place is not None
    await inside.partitions.delete_before({(stage.names.messages, place.partition): 1})
    with caplog.at_level(logging.ERROR):
        again = await collect(dispatcher, 3, deadline)
    assert [(one.id, one.attempt) for one in again] == [(one.id, 2) for one in held[1:]]
    assert "1 messages vanished" in caplog.text
    await dispatcher.ack(held[0])  # of a message that no longer exists, so it succeeds
    await dispatcher.ack(again)
    assert await dispatcher.backlog() == Backlog()
    assert list(await dispatcher.customers()) == []
    await until_empty(stage, deadline)


async def test_the_disk_falls_to_one_segment_a_partition(
    stage: Stage, kafka: BrokerServer, deadline: Deadline
) -> None:
    if not isinstance(kafka, LocalKafka):
        pytest.skip("the files of this server can't be seen from here")
    dispatcher = await stage.open_here(segment_bytes=1 << 20, max_payload_bytes=100_000)
    for _ in range(5):
        await dispatcher.publish([Message(name, bytes(50_000)) for name in "ab" for _ in range(20)])

    def segments() -> dict[str, int]:
        folders = (kafka.folder / "data").glob(f"{stage.names.messages}-*")
        return {folder.name: len(list(folder.glob("*.log"))) for folder in folders}

    assert max(segments().values()) >= 4
    await dispatcher.ack(await collect(dispatcher, 200, deadline))
    await until_empty(stage, deadline)
    await deadline.until(lambda: max(segments().values()) == 1, "one segment a partition")
