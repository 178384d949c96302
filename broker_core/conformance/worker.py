"""D and H. The Worker over a real broker: verdicts of handlers, backoff, graceful ends."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from itertools import pairwise

from broker_core.conformance.consuming import assert_backlog, assert_nothing, collect, messages, take_turns
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.requirements import requires
from broker_core.conformance.sizes import Size
from broker_core.model import Delivery, Message
from broker_core.worker import Reject, Retry, Worker


class TestWorker:
    """What a handler says happens, and stopping loses nothing."""

    async def test_d3_reject_buries_at_once(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Reject buries on the first attempt, Retry comes again after its delay, a return acks."""
        dispatcher = await harness.open(namespace)
        started: dict[str, list[float]] = defaultdict(list)

        async def handle(delivery: Delivery) -> None:
            started[delivery.customer].append(time.monotonic())
            if delivery.customer == "rejected":
                raise Reject("no such number")
            if delivery.customer == "retried" and delivery.attempt == 1:
                raise Retry(0.3, "busy")

        await dispatcher.publish([Message("rejected"), Message("retried"), Message("fine")])
        worker = Worker(dispatcher, handle)
        running = asyncio.ensure_future(worker.run())
        await deadline.until(lambda: len(started["retried"]) == 2, "a second attempt")
        worker.stop()
        await running
        assert {name: len(times) for name, times in started.items()} == {
            "rejected": 1,
            "retried": 2,
            "fine": 1,
        }
        assert started["retried"][1] - started["retried"][0] >= 0.3
        (letter,) = await dispatcher.dead_letters()
        assert (letter.customer, letter.attempts, letter.reason) == ("rejected", 1, "no such number")
        await assert_backlog(dispatcher, dead=1)

    async def test_d4_backoff_grows_to_its_cap(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """An exception comes again after base, 2 × base … at most cap, and after max_attempts never."""
        dispatcher = await harness.open(
            namespace, max_attempts=5, backoff_base=0.1, backoff_cap=0.25, backoff_jitter=0
        )
        started = []

        async def handle(delivery: Delivery) -> None:
            started.append(time.monotonic())
            raise ValueError(f"attempt {delivery.attempt}")

        await dispatcher.publish(messages("a", 1))
        worker = Worker(dispatcher, handle)
        running = asyncio.ensure_future(worker.run())

        async def buried() -> bool:
            return (await dispatcher.backlog()).dead == 1

        await deadline.until(buried, "a dead letter")
        worker.stop()
        await running
        gaps = [later - earlier for earlier, later in pairwise(started)]
        assert len(gaps) == 4
        for gap, least in zip(gaps, (0.1, 0.2, 0.25, 0.25), strict=True):
            assert least - 0.005 <= gap < least + 2
        (letter,) = await dispatcher.dead_letters()
        assert "attempt 5" in letter.reason

    async def test_d4_zero_backoff_is_allowed(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """With backoff_base=0 the next attempt comes at once, and others are handled meanwhile."""
        dispatcher = await harness.open(namespace, max_attempts=50, backoff_base=0)
        handled: list[str] = []

        async def handle(delivery: Delivery) -> None:
            handled.append(delivery.customer)
            if delivery.customer == "bad":
                raise ValueError

        await dispatcher.publish(take_turns(messages("bad", 1), messages("good", 20)))
        worker = Worker(dispatcher, handle, concurrency=2)
        running = asyncio.ensure_future(worker.run())
        await deadline.until(lambda: handled.count("bad") == 50 and handled.count("good") == 20, "the end")
        worker.stop()
        await running
        await assert_backlog(dispatcher, dead=1)

    async def test_d8_stopping_gives_attempts_back(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """What a stopping worker received and didn't finish is ready at once with its old attempt."""
        dispatcher = await harness.open(namespace, max_attempts=1, lease_seconds=300)
        ids = await dispatcher.publish(messages("a", 20))
        started = []

        async def handle(delivery: Delivery) -> None:
            started.append(delivery.id)
            await asyncio.sleep(300)

        worker = Worker(dispatcher, handle, concurrency=3, grace_seconds=0.2)
        running = asyncio.ensure_future(worker.run())
        await deadline.until(lambda: len(started) == 3, "handlers that run")
        worker.stop()
        before = time.monotonic()
        await running
        assert time.monotonic() - before < 3
        await assert_backlog(dispatcher, ready=20)
        again = await collect(dispatcher, 20, deadline)
        assert [delivery.id for delivery in again] == ids
        assert {delivery.attempt for delivery in again} == {1}

    async def test_h5_stopping_lets_what_runs_finish(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """After stop what runs finishes under renewed leases and is acked; nothing new starts."""
        dispatcher = await harness.open(namespace, lease_seconds=0.4)
        greedy = await harness.open(namespace, lease_seconds=300)
        await dispatcher.publish(messages("a", 12))
        started, finished = [], []

        async def handle(delivery: Delivery) -> None:
            started.append(delivery.id)
            await asyncio.sleep(1.2)
            finished.append(delivery.id)

        worker = Worker(dispatcher, handle, concurrency=4)
        running = asyncio.ensure_future(worker.run())
        await deadline.until(lambda: len(started) == 4, "handlers that run")
        worker.stop()
        await asyncio.sleep(0.6)
        rest = await collect(greedy, 8, deadline)  # it was given back before the handlers ended
        assert not finished
        assert not {delivery.id for delivery in rest} & set(started)
        await assert_nothing(greedy, seconds=0.3)
        await running
        assert len(started) == len(finished) == 4
        await assert_backlog(dispatcher, leased=8)

    @requires("processes")
    async def test_h5_a_process_that_is_told_to_end_finishes(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """SIGTERM of a worker process: what it started is finished, the rest is ready again, exit 0."""
        dispatcher = await harness.open(namespace, lease_seconds=300)
        await dispatcher.publish(messages("a", 30))
        worker = await harness.spawn_worker(
            namespace, "work", max_messages=5, work_seconds=0.3, lease_seconds=300
        )
        await deadline.until(lambda: len(worker.received) >= 5, "a worker that works")
        worker.ask_to_stop()
        assert await worker.ended() == 0
        assert {told.id for told in worker.finished} == {told.id for told in worker.received}
        backlog = await dispatcher.backlog()
        assert backlog.ready == 30 - len(worker.finished)
        assert backlog.leased == backlog.delayed == backlog.dead == 0
        again = await collect(dispatcher, backlog.ready, deadline)
        assert {delivery.attempt for delivery in again} == {1}

    async def test_h8_many_handlers_finish_everything_once(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """Two workers over thousands of messages of many customers: each handled once, all acked."""
        dispatchers = [await harness.open(namespace) for _ in range(2)]
        count = size.pick(short=2000, full=20_000)
        recorder = Recorder()

        async def handle(delivery: Delivery) -> None:
            recorder.record([delivery])

        workers = [Worker(dispatcher, handle, concurrency=50) for dispatcher in dispatchers]
        running = [asyncio.ensure_future(worker.run()) for worker in workers]
        queues = [messages(f"c{number}", count // 20) for number in range(20)]
        ids = await dispatchers[0].publish(take_turns(*queues))
        await deadline.until(lambda: len(recorder) >= count, "all messages")
        for worker in workers:
            worker.stop()
        await asyncio.gather(*running)
        recorder.check(ids)
        await assert_backlog(dispatchers[0])
