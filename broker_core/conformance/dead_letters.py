"""D. Dead letters are kept for people, whole, until they are redriven, purged or too old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from broker_core.conformance.consuming import (
    assert_backlog,
    assert_nothing,
    collect,
    messages,
    one,
    publish_all,
    take_turns,
)
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.requirements import requires
from broker_core.conformance.sizes import Size
from broker_core.dispatcher import FairDispatcher
from broker_core.model import DeadLetter, Message


async def all_dead_letters(
    dispatcher: FairDispatcher, customer: str | None, limit: int
) -> list[list[DeadLetter]]:
    """Read all pages of a listing."""
    page = await dispatcher.dead_letters(customer, limit=limit)
    pages = [list(page)]
    while page.cursor is not None:
        page = await dispatcher.dead_letters(customer, limit=limit, cursor=page.cursor)
        pages.append(list(page))
    return pages


class TestDeadLetters:
    """From burial to redrive, purge and retention."""

    async def test_d2_a_dead_letter_keeps_everything(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Customer, payload, headers, key, cost, id, attempts, last reason and times stay readable."""
        dispatcher = await harness.open(namespace, max_attempts=2)
        message = Message("a", b"\x00\xffpayload", {"k": "سلام"}, id="key", cost=3)
        (message_id,) = await dispatcher.publish(message)
        await dispatcher.nack(await one(dispatcher, deadline), reason="first")
        last = await one(dispatcher, deadline)
        await dispatcher.nack(last, reason="سبب: no route \n to 'x'")
        (letter,) = await dispatcher.dead_letters("a")
        assert (letter.id, letter.message, letter.customer) == (message_id, message, "a")
        assert (letter.attempts, letter.reason) == (2, "سبب: no route \n to 'x'")
        assert letter.published_at == last.published_at
        now, slack = datetime.now(UTC), timedelta(seconds=2)
        assert letter.published_at <= letter.died_at <= now + slack
        assert letter.died_at >= now - timedelta(seconds=deadline.seconds)
        await assert_nothing(dispatcher)

    async def test_d2_dead_letter_buries_at_once(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """The verb dead_letter ends a message on its first attempt, with the reason."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(messages("a", 3))
        held = await collect(dispatcher, 3, deadline)
        await dispatcher.dead_letter(held[:2], reason="bad number")
        await assert_backlog(dispatcher, "a", leased=1, dead=2)
        assert [(one.attempts, one.reason) for one in await dispatcher.dead_letters("a")] == [
            (1, "bad number"),
            (1, "bad number"),
        ]

    async def test_d2_dead_letters_are_listed_by_customer_and_in_pages(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Pages of one customer or of all hold each dead letter once, the oldest death first."""
        dispatcher = await harness.open(namespace)
        ids = await dispatcher.publish(take_turns(messages("a", 25), messages("b", 10)))
        for delivery in await collect(dispatcher, 35, deadline):
            await dispatcher.dead_letter(delivery, reason="no")
        pages = await all_dead_letters(dispatcher, "a", 10)
        assert all(len(page) <= 10 for page in pages)
        letters = [letter for page in pages for letter in page]
        assert sorted(int(letter.message.payload) for letter in letters) == list(range(25))
        times = [letter.died_at for letter in letters]
        assert times == sorted(times)
        everything = [letter for page in await all_dead_letters(dispatcher, None, 4) for letter in page]
        assert sorted(letter.id for letter in everything) == sorted(ids)
        times = [letter.died_at for letter in everything]
        assert times == sorted(times)
        assert list(await dispatcher.dead_letters("unknown")) == []

    @requires("garbage")
    async def test_d5_what_cannot_be_decoded_is_buried(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """An entry that no adapter wrote is buried; the consumer lives and the next message comes."""
        dispatcher = await harness.open(namespace)
        (before,) = await dispatcher.publish(Message("a", b"before"))
        await harness.inject_garbage(namespace, "a")
        ids = await dispatcher.publish([Message("a", b"after"), Message("b", b"")])
        received = await collect(dispatcher, 3, deadline)
        assert {delivery.id for delivery in received} == {before, *ids}
        await assert_nothing(dispatcher)
        (letter,) = await dispatcher.dead_letters("a")
        assert letter.reason
        assert letter.customer == "a"
        await dispatcher.ack(received)
        await assert_backlog(dispatcher, dead=1)
        await dispatcher.purge_dead_letters("a")
        await assert_backlog(dispatcher)

    async def test_d6_redriven_messages_start_anew(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """redrive counts the dead letters and puts them behind what waits: same id and content, attempt 1."""
        dispatcher = await harness.open(namespace, max_attempts=2)
        batch = [
            Message("a", str(place).encode(), {"place": str(place)}, id=f"k{place}") for place in range(3)
        ]
        ids = await dispatcher.publish(batch)
        await dispatcher.nack(await collect(dispatcher, 3, deadline))
        await dispatcher.nack(await collect(dispatcher, 3, deadline))
        (waiting,) = await dispatcher.publish(Message("a", b"waiting"))
        await assert_backlog(dispatcher, "a", ready=1, dead=3)
        assert await dispatcher.redrive("a") == 3
        await assert_backlog(dispatcher, "a", ready=4)
        again = await collect(dispatcher, 4, deadline)
        assert again[0].id == waiting, "redriven messages go to the tail"
        assert {delivery.id for delivery in again[1:]} == set(ids)
        assert {delivery.id: delivery.message for delivery in again[1:]} == dict(zip(ids, batch, strict=True))
        assert {delivery.attempt for delivery in again} == {1}
        await dispatcher.nack(again[1])
        assert (await one(dispatcher, deadline)).attempt == 2
        assert await dispatcher.redrive("a") == 0

    async def test_d6_redrive_and_purge_take_ids(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Named dead letters of the customer are redriven or removed, the rest stays; others don't count."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish([*messages("a", 4), *messages("b", 1)])
        deliveries = await collect(dispatcher, 5, deadline)
        await dispatcher.dead_letter(deliveries, reason="no")
        a = [letter.id for letter in await dispatcher.dead_letters("a")]
        (b,) = [letter.id for letter in await dispatcher.dead_letters("b")]
        assert await dispatcher.redrive("a", [a[1], b, "unknown", "", "0-0", a[1]]) == 1
        assert await dispatcher.purge_dead_letters("a", [a[2], b, "unknown"]) == 1
        assert await dispatcher.redrive("a", []) == 0
        assert await dispatcher.purge_dead_letters("unknown") == 0
        assert [letter.id for letter in await dispatcher.dead_letters("a")] == [a[0], a[3]]
        assert (await one(dispatcher, deadline)).id == a[1]
        assert await dispatcher.purge_dead_letters("a") == 2
        await assert_backlog(dispatcher, "a", leased=1)
        await assert_backlog(dispatcher, "b", dead=1)

    async def test_d7_dead_letters_are_kept_for_their_retention(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """Not removed before dead_letter_retention, all gone soon after, however many in one go."""
        count = size.pick(short=1500, full=10_000)
        dispatcher = await harness.open(namespace, dead_letter_retention=1.2)
        await publish_all(dispatcher, take_turns(messages("a", count // 2), messages("b", count // 2)))
        held = await collect(dispatcher, count, deadline, max_messages=1000)
        await dispatcher.dead_letter(held, reason="old")
        (oldest,) = await dispatcher.dead_letters(limit=1)

        async def gone() -> bool:
            dead = (await dispatcher.backlog()).dead
            now = datetime.now(UTC)
            assert dead == count or now > oldest.died_at + timedelta(seconds=1.1), "removed too early"
            await dispatcher.receive(1)  # clean-up may be the work of consumers
            return dead == 0

        await deadline.until(gone, "an end of the dead letters' retention")
        assert list(await dispatcher.dead_letters()) == []
        await assert_backlog(dispatcher, "a")
