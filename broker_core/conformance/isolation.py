"""G. Namespaces and customers never mix, whatever they are called."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from broker_core.conformance.consuming import assert_backlog, assert_nothing, collect, drain, messages, one
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.requirements import requires
from broker_core.errors import ConfigurationError, InvalidArgument, InvalidMessage, LeaseLost
from broker_core.model import CustomerPolicy, Message

ODD_NAMES = (
    "a",
    "A",
    "a:b",
    "a:",
    ":a",
    "::",
    "a}",
    "{a}",
    "{",
    "}x",
    "{}",
    "a{b}c",
    "*",
    "a*",
    "?",
    "[a]",
    "#",
    ".*.#",
    "a.b",
    ".",
    "..",
    "a/b",
    "/",
    "%2F",
    "%s",
    "%",
    "a b",
    " a",
    "a ",
    " ",
    "سلام",
    "é",
    "e\u0301",
    "🙂",
    "\u202eabc",
    "\u200b",
    "'",
    '"',
    "\\",
    "0",
    "1:a",
    "-1",
    "0-1",
    "null",
    "None",
    "amq.gen",
    "__proto__",
    "x" * 200,
    "x" * 199 + "y",
    "🙂" * 200,
)


class TestIsolation:
    """What belongs to one stays with it."""

    async def test_g1_namespaces_are_separate(self, harness: Harness, deadline: Deadline) -> None:
        """20 namespaces of one broker, published to in alternation and at once: each gets its own."""
        stem = harness.namespace()
        names = [stem, f"{stem}-", f"{stem}.0", f"{stem}_1", *(f"{stem}{number}" for number in range(16))]
        dispatchers = [await harness.open(name) for name in names]
        confirmed: list[list[str]] = [[] for _ in names]

        async def publish(place: int) -> None:
            for number in range(10):
                message = Message("a", f"{place} {number}".encode())
                confirmed[place] += await dispatchers[place].publish(message)

        await asyncio.gather(*map(publish, range(len(names))))
        for place, dispatcher in enumerate(dispatchers):
            await assert_backlog(dispatcher, ready=10)
            recorder = Recorder()
            await drain([dispatcher], recorder, deadline)
            recorder.check(confirmed[place])
            assert [one.message.payload.split()[0] for one in recorder.deliveries] == [b"%d" % place] * 10

    async def test_g1_policies_and_dead_letters_are_separate(
        self, harness: Harness, deadline: Deadline
    ) -> None:
        """Neither purge nor redrive nor a listing reaches into another namespace."""
        here, there = [await harness.open(harness.namespace()) for _ in range(2)]
        for dispatcher in (here, there):
            await dispatcher.publish(messages("a", 3))
            await dispatcher.dead_letter(await one(dispatcher, deadline))
        assert await here.purge_dead_letters("a") == 1
        assert await here.purge("a") == 2
        assert list(await here.customers()) == []
        await assert_backlog(there, "a", ready=2, dead=1)
        assert await there.redrive("a") == 1

    async def test_g2_customers_are_separate_whatever_their_names(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Names with every odd character, and names that could collide, work and are never mixed."""
        dispatcher = await harness.open(namespace)
        assert len(set(ODD_NAMES)) == len(ODD_NAMES)
        batch = [Message(name, name.encode(), {"name": name}) for name in ODD_NAMES]
        ids = dict(zip(ODD_NAMES, await dispatcher.publish(batch), strict=True))
        for name in ODD_NAMES:
            await assert_backlog(dispatcher, name, ready=1)
        listed = {one.customer for one in await dispatcher.customers(limit=1000)}
        assert listed == set(ODD_NAMES)
        deliveries = await collect(dispatcher, len(ODD_NAMES), deadline)
        assert {delivery.customer: delivery.id for delivery in deliveries} == ids
        for delivery in deliveries:
            assert delivery.message.payload == delivery.customer.encode()
        await dispatcher.nack(deliveries)
        again = await collect(dispatcher, len(ODD_NAMES), deadline)
        await dispatcher.dead_letter(again, reason="no")
        for name in ODD_NAMES:
            assert [letter.id for letter in await dispatcher.dead_letters(name)] == [ids[name]]
            assert await dispatcher.redrive(name) == 1
            await assert_backlog(dispatcher, name, ready=1)
            assert await dispatcher.purge(name) == 1
        await assert_backlog(dispatcher)

    async def test_g2_names_that_are_none_are_refused(self, harness: Harness, namespace: str) -> None:
        """Empty, over-long, with control characters, not encodable or no text: refused before any I/O."""
        dispatcher = await harness.open(namespace)
        for name in ("", "x" * 201, "a\nb", "\0", "a\x7f", "a\x85", "\ud800", 1, None, b"a", ["a"]):
            customer = cast(str, name)
            with pytest.raises(InvalidMessage):
                await dispatcher.publish([Message("good"), Message(customer)])
            for call in (
                dispatcher.get_policy,
                dispatcher.redrive,
                dispatcher.purge,
                dispatcher.purge_dead_letters,
            ):
                with pytest.raises(InvalidArgument):
                    await call(customer)
        await assert_backlog(dispatcher)

    async def test_g2_namespaces_that_are_none_are_refused(self, harness: Harness) -> None:
        """A namespace has 1–64 letters, digits, dots, dashes and underscores; else ConfigurationError."""
        for name in ("", "a b", "a:b", "a{b}", "-a", "x" * 65, "سلام", "a\n"):
            with pytest.raises(ConfigurationError):
                harness.dispatcher(name)

    async def test_g3_purge_touches_one_customer_only(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Ready, delayed and leased messages of the customer go, its dead letters and all others stay."""
        dispatcher = await harness.open(namespace)
        for name in ("a", "b"):
            await dispatcher.publish(messages(name, 10))
            held = await collect(dispatcher, 5, deadline)
            await dispatcher.nack(held[0], delay=60)
            await dispatcher.nack(held[1])
            await dispatcher.dead_letter(held[2])
            await dispatcher.release(held[3])
            if name == "a":
                leased = held[4]
                await dispatcher.set_policy(name, None)
                await assert_backlog(dispatcher, name, ready=7, leased=1, delayed=1, dead=1)
                waiting = await collect(dispatcher, 7, deadline)
        assert await dispatcher.purge("a") == 9
        await assert_backlog(dispatcher, "a", dead=1)
        await assert_backlog(dispatcher, "b", ready=7, leased=1, delayed=1, dead=1)
        with pytest.raises(LeaseLost) as error:
            await dispatcher.nack([leased, *waiting])
        assert len(error.value.lost) == 8
        assert await dispatcher.purge("a") == 0
        (message_id,) = await dispatcher.publish(messages("a", 1))
        assert message_id in {delivery.id for delivery in await collect(dispatcher, 8, deadline)}

    @requires("weight")
    async def test_g3_purge_keeps_the_policy(self, harness: Harness, namespace: str) -> None:
        """A customer that was purged is still treated as its policy says."""
        dispatcher = await harness.open(namespace)
        await dispatcher.set_policy("a", CustomerPolicy(weight=7))
        await dispatcher.publish(messages("a", 1))
        await dispatcher.purge("a")
        assert await dispatcher.get_policy("a") == CustomerPolicy(weight=7)

    async def test_g3_purge_wins_over_what_waits_for_it(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Nothing purged comes back by an expired lease or a delay that ends."""
        dispatcher = await harness.open(namespace, lease_seconds=0.3)
        await dispatcher.publish(messages("a", 3))
        held = await collect(dispatcher, 2, deadline)
        await dispatcher.nack(held[0], delay=0.3)
        assert await dispatcher.purge("a") == 3
        await assert_nothing(dispatcher, seconds=0.8)
        await assert_backlog(dispatcher)
