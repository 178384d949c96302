"""What becomes of messages in a worker that is left in peace."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import pytest

from broker_core import Backlog, Delivery, Message, Reject, Retry, Worker
from broker_core.adapter import Verb
from broker_core.errors import BrokerUnavailable, Closed, InvalidArgument
from tests.unit.helpers import away, mortal, publish, until, working


async def test_what_a_handler_has_done_is_acked_in_batches() -> None:
    dispatcher, adapter = mortal()
    seen: list[str] = []

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery.id)

    async with dispatcher, working(dispatcher, handle):
        ids = await publish(dispatcher, 2000)
        await until(lambda: dispatcher.counts["ack"] == 2000)
        assert seen == ids
        assert await dispatcher.backlog() == Backlog()
    assert set(adapter.verbs()) == {Verb.ACK}
    assert len(adapter.settled) <= 2000 / 30


async def test_handlers_run_side_by_side_up_to_the_concurrency() -> None:
    dispatcher, _ = mortal()
    running, most, go = 0, 0, asyncio.Event()

    async def handle(_: Delivery) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go.wait()
        await asyncio.sleep(0)
        running -= 1

    async with dispatcher, working(dispatcher, handle, concurrency=7):
        await publish(dispatcher, 100)
        await until(lambda: running == 7)
        go.set()
        await until(lambda: dispatcher.counts["ack"] == 100)
        assert most == 7


async def test_no_more_than_twice_the_concurrency_is_leased() -> None:
    dispatcher, _ = mortal()
    most = 0

    async def handle(_: Delivery) -> None:
        nonlocal most
        most = max(most, (await dispatcher.backlog()).leased)
        await asyncio.sleep(0)

    async with dispatcher, working(dispatcher, handle, concurrency=5):
        await publish(dispatcher, 200)
        await until(lambda: dispatcher.counts["ack"] == 200)
    assert most == 10


async def test_it_receives_again_when_half_of_the_concurrency_is_free() -> None:
    dispatcher, adapter = mortal()
    allowed = asyncio.Semaphore(0)

    async def handle(_: Delivery) -> None:
        await allowed.acquire()

    async with dispatcher:
        await publish(dispatcher, 40)
        async with working(dispatcher, handle, concurrency=8):
            await until(lambda: adapter.sizes("receive") == [16])
            for _ in range(3):
                allowed.release()
            await until(lambda: dispatcher.counts["ack"] == 3)
            await asyncio.sleep(0.02)
            assert adapter.sizes("receive") == [16]
            allowed.release()
            await until(lambda: adapter.sizes("receive") == [16, 4])
            for _ in range(36):
                allowed.release()
            await until(lambda: dispatcher.counts["ack"] == 40)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (Retry(0, "busy"), "busy"),
        (Retry(reason="busy"), "busy"),
        (ValueError("bad"), "ValueError: bad"),
        (asyncio.CancelledError("from within"), "CancelledError: from within"),
        (TimeoutError(), "TimeoutError: "),
    ],
)
async def test_what_fails_comes_again_until_its_attempts_are_used_up(
    failure: BaseException, reason: str
) -> None:
    dispatcher, _ = mortal(max_attempts=3, backoff_base=0.01)
    attempts: list[int] = []

    async def handle(delivery: Delivery) -> None:
        if delivery.customer == "bad":
            attempts.append(delivery.attempt)
            raise failure

    async with dispatcher, working(dispatcher, handle):
        await dispatcher.publish([Message("bad"), Message("good")])
        await until(lambda: len(attempts) == 3)
        await until(lambda: dispatcher.counts["nack"] == 3)
        assert attempts == [1, 2, 3]
        (dead,) = await dispatcher.dead_letters("bad")
        assert (dead.attempts, dead.reason) == (3, reason)
        assert await dispatcher.backlog() == Backlog(dead=1)


async def test_a_delay_is_kept_and_holds_up_nobody() -> None:
    dispatcher, _ = mortal()
    seen: list[tuple[str, float]] = []

    async def handle(delivery: Delivery) -> None:
        seen.append((delivery.customer, asyncio.get_running_loop().time()))
        if delivery.customer == "late" and delivery.attempt == 1:
            raise Retry(0.3)

    async with dispatcher, working(dispatcher, handle):
        await dispatcher.publish([Message("late"), Message("other")])
        await until(lambda: len(seen) == 3)
        assert [customer for customer, _ in seen] == ["late", "other", "late"]
        assert seen[2][1] - seen[0][1] >= 0.29
        await until(lambda: dispatcher.counts["ack"] == 2)


async def test_a_rejected_message_is_dead_at_once() -> None:
    dispatcher, _ = mortal()

    async def handle(_: Delivery) -> None:
        raise Reject("bad number")

    async with dispatcher, working(dispatcher, handle):
        await publish(dispatcher, 1)
        await until(lambda: dispatcher.counts["dead_letter"] == 1)
        (dead,) = await dispatcher.dead_letters()
        assert (dead.attempts, dead.reason) == (1, "bad number")


async def test_each_handler_has_a_task_of_its_own() -> None:
    dispatcher, _ = mortal()
    tasks = set()

    async def handle(_: Delivery) -> None:
        tasks.add(asyncio.current_task())
        async with asyncio.timeout(5):
            await asyncio.sleep(0)

    async with dispatcher, working(dispatcher, handle, concurrency=2):
        await publish(dispatcher, 10)
        await until(lambda: dispatcher.counts["ack"] == 10)
    assert len(tasks) == 10


@pytest.mark.parametrize("concerned", ["receive", "settle"])
async def test_it_goes_on_after_an_outage(concerned: str, caplog: pytest.LogCaptureFixture) -> None:
    dispatcher, adapter = mortal()
    seen: list[str] = []

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery.id)

    async with dispatcher:
        adapter.concerns = {concerned}
        adapter.trouble = away()
        async with working(dispatcher, handle):
            ids = await publish(dispatcher, 200)
            await until(lambda: len(adapter.sizes(concerned)) >= 3)
            adapter.trouble = None
            await until(lambda: dispatcher.counts["ack"] == 200)
        assert seen == ids
    assert caplog.text.count("the broker does not answer") == 1
    assert caplog.text.count("the broker answers again") == 1


@pytest.mark.parametrize("concerned", ["receive", "settle", "extend"])
async def test_an_error_that_lasts_ends_it_and_what_runs(concerned: str) -> None:
    dispatcher, adapter = mortal(lease_seconds=0.2)
    cancelled: list[str] = []

    async def handle(delivery: Delivery) -> None:
        if delivery.customer == "quick":
            return
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(delivery.id)
            raise

    async with dispatcher:
        ids = await publish(dispatcher, 1)
        await publish(dispatcher, 1, "quick")
        adapter.concerns = {concerned}
        running = asyncio.create_task(Worker(dispatcher, handle).run())
        await until(lambda: dispatcher.counts["ack"] == 1)
        adapter.trouble = BrokerUnavailable("wrong password", retryable=False)
        await publish(dispatcher, 1, "quick")
        with pytest.raises(BrokerUnavailable, match="wrong password"):
            async with asyncio.timeout(10):
                await running
        assert cancelled == ids
        adapter.trouble = None


async def test_a_dispatcher_that_is_closed_ends_it() -> None:
    async def handle(_: Delivery) -> None:
        return

    dispatcher, _ = mortal()
    async with dispatcher:
        running = asyncio.create_task(Worker(dispatcher, handle).run())
        await asyncio.sleep(0.01)
    with pytest.raises(Closed):
        await running


@pytest.mark.parametrize(
    "options", [{"concurrency": 0}, {"concurrency": 1.5}, {"concurrency": 10_001}, {"grace_seconds": -1}]
)
async def test_its_arguments_are_checked(options: dict[str, Any]) -> None:
    async def handle(_: Delivery) -> None:
        return

    with pytest.raises(InvalidArgument):
        Worker(mortal()[0], handle, **options)


class _Generators:
    def plain(self, _: Delivery) -> Iterator[None]:
        yield

    async def asynchronous(self, _: Delivery) -> AsyncIterator[None]:
        yield


@pytest.mark.parametrize(
    "handler", [None, "handle", _Generators, _Generators().plain, _Generators().asynchronous, Delivery]
)
def test_what_can_be_no_handler_is_refused(handler: Any) -> None:
    with pytest.raises(InvalidArgument, match="handler must be an async function"):
        Worker(mortal()[0], handler)


class _Handler:
    def __init__(self) -> None:
        self.seen: list[str] = []

    async def __call__(self, delivery: Delivery, tag: str = "") -> None:
        self.seen.append(delivery.customer + tag)


async def test_whatever_returns_something_to_await_is_a_handler() -> None:
    dispatcher, _ = mortal()
    handler = _Handler()

    @functools.wraps(handler.__call__)
    def decorated(delivery: Delivery) -> Awaitable[None]:
        return handler(delivery, "-decorated")

    def begun(delivery: Delivery) -> Awaitable[None]:
        return asyncio.ensure_future(handler(delivery, "-begun"))

    async with dispatcher:
        for form in (handler, handler.__call__, functools.partial(handler, tag="-partial"), decorated, begun):
            async with working(dispatcher, form):
                acked = dispatcher.counts["ack"]
                await publish(dispatcher, 1)
                await until(lambda acked=acked: dispatcher.counts["ack"] > acked)  # type: ignore[misc]
    assert handler.seen == ["acme", "acme", "acme-partial", "acme-decorated", "acme-begun"]


async def test_a_handler_that_returns_nothing_to_await_ends_it_at_its_first_message() -> None:
    dispatcher, adapter = mortal()
    seen: list[str] = []

    def handle(delivery: Delivery) -> None:
        seen.append(delivery.id)

    async with dispatcher:
        ids = await publish(dispatcher, 20)
        unfit: Any = handle
        with pytest.raises(InvalidArgument, match=r"handler must be an async function.*NoneType"):
            async with asyncio.timeout(10):
                await Worker(dispatcher, unfit, concurrency=8).run()
        assert seen == ids[:1]
        assert set(adapter.verbs()) == {Verb.RELEASE}
        assert await dispatcher.backlog() == Backlog(ready=20)
        assert {delivery.attempt for delivery in await dispatcher.receive(20)} == {1}


async def test_after_a_receive_that_left_nothing_it_waits_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes meanwhile is fetched in one call; here the moment never ends."""
    monkeypatch.setattr("broker_core.worker._GATHER_SECONDS", 3600.0)
    dispatcher, _ = mortal()

    async def handle(_: Delivery) -> None: ...

    async with dispatcher, working(dispatcher, handle):
        await publish(dispatcher, 5)
        await until(lambda: dispatcher.counts["ack"] == 5)
        await publish(dispatcher, 3)
        await asyncio.sleep(0.05)
        assert (await dispatcher.backlog()).ready == 3


async def test_after_a_full_receive_it_asks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker_core.worker._GATHER_SECONDS", 3600.0)
    dispatcher, _ = mortal()

    async def handle(_: Delivery) -> None: ...

    async with dispatcher:
        await publish(dispatcher, 50)
        async with working(dispatcher, handle, concurrency=1):
            await until(lambda: dispatcher.counts["ack"] == 50)
