"""J. What can be seen is exact, and what stays behind is known."""

from __future__ import annotations

import pytest

from broker_core.conformance.consuming import (
    assert_backlog,
    assert_nothing,
    collect,
    drain,
    messages,
    one,
    publish_all,
    take_turns,
)
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.requirements import requires
from broker_core.conformance.sizes import Size
from broker_core.dispatcher import FairDispatcher
from broker_core.errors import InvalidArgument
from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, Message


async def all_customers(dispatcher: FairDispatcher, limit: int) -> list[CustomerBacklog]:
    """Read all pages of the listing of customers."""
    page = await dispatcher.customers(limit=limit)
    found = list(page)
    while page.cursor is not None:
        page = await dispatcher.customers(limit=limit, cursor=page.cursor)
        assert len(page) <= limit
        found += page
    return found


class TestIntrospection:
    """Counts, listings, policies, residue."""

    @requires("backlog")
    async def test_j1_counts_are_exact_in_every_state(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """After each step every message is counted in exactly one state, per customer and in total."""
        dispatcher = await harness.open(namespace, max_attempts=3)
        watcher = await harness.open(namespace)

        async def expect(**a: int) -> None:
            await assert_backlog(watcher, "a", **a)
            total = await watcher.backlog()
            assert total == Backlog(
                a.get("ready", 0) + 4, a.get("leased", 0), a.get("delayed", 0), a.get("dead", 0)
            )

        await dispatcher.set_policy("b", None)
        await dispatcher.publish(messages("a", 10))
        held = await collect(dispatcher, 10, deadline)
        await dispatcher.publish(messages("b", 4))
        await expect(leased=10)
        await dispatcher.ack(held[0])
        await expect(leased=9)
        await dispatcher.nack(held[1], delay=60)
        await expect(leased=8, delayed=1)
        await dispatcher.nack(held[2])
        await expect(ready=1, leased=7, delayed=1)
        await dispatcher.release(held[3:5])
        await expect(ready=3, leased=5, delayed=1)
        await dispatcher.dead_letter(held[5:7])
        await expect(ready=3, leased=3, delayed=1, dead=2)
        await dispatcher.extend(held[7:], 60)
        await expect(ready=3, leased=3, delayed=1, dead=2)
        await dispatcher.redrive("a", [held[5].id])
        await expect(ready=4, leased=3, delayed=1, dead=1)
        await dispatcher.purge_dead_letters("a")
        await expect(ready=4, leased=3, delayed=1)
        await dispatcher.extend(held[7], 0.05)

        async def expired() -> bool:
            state = await watcher.backlog("a")
            assert state.ready + state.leased == 7
            await dispatcher.release(await dispatcher.receive(1))
            return state.leased == 2

        await deadline.until(expired, "the end of a lease")
        await expect(ready=5, leased=2, delayed=1)
        assert await dispatcher.purge("a") == 8
        await expect()
        assert await watcher.backlog("unknown") == Backlog()

    @requires("backlog")
    async def test_j1_customers_are_listed_with_their_counts(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Pages name each customer that has a message in any state once, and none that is finished."""
        dispatcher = await harness.open(namespace)
        count = 130
        batch = [message for number in range(count) for message in messages(f"c{number}", 2)]
        await dispatcher.publish(batch)
        expected = {f"c{number}": Backlog(ready=2) for number in range(count)}
        for delivery in await collect(dispatcher, 2 * count, deadline):
            number = int(delivery.customer[1:])
            if number % 5 == 0:
                await dispatcher.ack(delivery)
                expected.pop(delivery.customer, None)
            elif number % 5 == 1:
                await dispatcher.nack(delivery, delay=60)
                expected[delivery.customer] = Backlog(delayed=2)
            elif number % 5 == 2:
                await dispatcher.dead_letter(delivery)
                expected[delivery.customer] = Backlog(dead=2)
            elif number % 5 == 3:
                expected[delivery.customer] = Backlog(leased=2)
            else:
                await dispatcher.release(delivery)
        for limit in (7, 1000):
            found = await all_customers(dispatcher, limit)
            assert len(found) == len(expected)
            assert {one.customer: one.backlog for one in found} == expected

    @requires("weight")
    async def test_j1_a_customer_with_a_policy_alone_is_listed(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Before its first message, while it has some, after purge and ack; no longer without a policy."""
        dispatcher = await harness.open(namespace)

        async def expect(*backlogs: Backlog) -> None:
            assert [one.backlog for one in await all_customers(dispatcher, 100)] == list(backlogs)

        await dispatcher.set_policy("a", CustomerPolicy(weight=2))
        await expect(Backlog())
        await dispatcher.publish(messages("a", 3))
        await expect(Backlog(ready=3))
        await dispatcher.purge("a")
        await expect(Backlog())
        await dispatcher.publish(messages("a", 1))
        await dispatcher.ack(await one(dispatcher, deadline))
        await expect(Backlog())
        await dispatcher.set_policy("a", None)
        await expect()

    async def test_j1_a_cursor_that_is_none_is_refused(self, harness: Harness, namespace: str) -> None:
        """A text that no listing has returned is InvalidArgument, as is a limit out of range."""
        dispatcher = await harness.open(namespace)
        for wrong in ("", "x", "0:0:0:0", "سلام"):
            with pytest.raises(InvalidArgument):
                await dispatcher.customers(cursor=wrong)
            with pytest.raises(InvalidArgument):
                await dispatcher.dead_letters(cursor=wrong)
        for limit in (0, -1, 1001, 1.5, True):
            with pytest.raises(InvalidArgument):
                await dispatcher.customers(limit=limit)  # type: ignore[arg-type]

    async def test_j2_nothing_stays_but_what_is_documented(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """When all is acked and retention has passed, the broker holds the documented set and no more."""
        dispatcher = await harness.open(
            namespace, lease_seconds=0.3, dedup_window=0.5, dead_letter_retention=0.5, max_attempts=2
        )
        customers = size.pick(short=200, full=5000)
        batch = [
            Message(f"c{number}", b"x", id=f"key-{number}" if number % 2 else None)
            for number in range(customers)
        ]
        await publish_all(dispatcher, [*batch, *(Message(f"c{number}") for number in range(customers))])
        held = await collect(dispatcher, 50, deadline)
        await dispatcher.nack(held[:10])
        await dispatcher.nack(held[10:20], delay=0.2)
        await dispatcher.release(held[20:30])
        await dispatcher.dead_letter(held[30:40])
        await dispatcher.purge("c7")
        recorder = Recorder()

        async def finished() -> bool:
            await drain([dispatcher], recorder, deadline)
            return await dispatcher.backlog() == Backlog()

        await deadline.until(finished, "an empty namespace")
        allowed = set(harness.constant_residue(namespace))

        async def only_the_documented() -> bool:
            await assert_nothing(dispatcher)
            return set(await harness.residue(namespace)) <= allowed

        try:
            await deadline.until(only_the_documented, "a residue that is documented")
        except AssertionError:
            raise AssertionError(
                f"left over: {sorted(set(await harness.residue(namespace)) - allowed)[:20]}"
            ) from None
        await dispatcher.close()
        assert set(await harness.residue(namespace)) <= allowed

    @requires("weight", "paused")
    async def test_j3_a_policy_is_kept_whole(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """set_policy replaces the record, None removes it; get_policy returns it, elsewhere too."""
        dispatcher, other = [await harness.open(namespace) for _ in range(2)]
        assert await dispatcher.get_policy("a") is None
        for policy in (
            CustomerPolicy(weight=3),
            CustomerPolicy(paused=True),
            CustomerPolicy(weight=1000, paused=False),
            CustomerPolicy(weight=1),
        ):
            await dispatcher.set_policy("a", policy)
            assert await dispatcher.get_policy("a") == policy

            async def seen(policy: CustomerPolicy = policy) -> bool:
                return await other.get_policy("a") == policy

            await deadline.until(seen, "the policy at another dispatcher")
        assert [one.customer for one in await dispatcher.customers()] == ["a"], "it has a policy"
        assert await dispatcher.get_policy("b") is None
        await dispatcher.set_policy("a", None)
        await dispatcher.set_policy("a", None)
        assert await dispatcher.get_policy("a") is None
        assert list(await dispatcher.customers()) == []

    @requires("weight")
    async def test_j3_a_policy_out_of_range_is_refused(self, harness: Harness, namespace: str) -> None:
        """A weight that is no whole number from 1 to 1000 is InvalidArgument, and the old record stays."""
        dispatcher = await harness.open(namespace)
        await dispatcher.set_policy("a", CustomerPolicy(weight=2))
        for wrong in (0, -1, 1001, 1.5, True, "3"):
            with pytest.raises(InvalidArgument):
                await dispatcher.set_policy("a", CustomerPolicy(weight=wrong))  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument):
            await dispatcher.set_policy("a", {"weight": 1})  # type: ignore[arg-type]
        assert await dispatcher.get_policy("a") == CustomerPolicy(weight=2)

    @requires("backlog")
    async def test_j4_looking_changes_nothing(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Counting and listing in every way leave what is ready, and its order, alone."""
        dispatcher = await harness.open(namespace)
        ids = await dispatcher.publish(take_turns(messages("a", 5), messages("b", 5)))
        for _ in range(3):
            await dispatcher.backlog()
            await dispatcher.backlog("a")
            await dispatcher.customers()
            await dispatcher.dead_letters()
            await dispatcher.get_policy("a")
        received = [await one(dispatcher, deadline) for _ in range(10)]
        assert {delivery.id for delivery in received} == set(ids)
        assert {delivery.attempt for delivery in received} == {1}
