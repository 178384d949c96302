"""What the journal, the dead letters and the delayed messages confirmed survives a crash of the broker."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from broker_core.conformance.polling import Deadline
from broker_core.errors import BrokerUnavailable
from fair_rabbitmq.connection import Connections
from fair_rabbitmq.dead_letters import DeadLetters
from fair_rabbitmq.delays import Delays
from fair_rabbitmq.journal import events as e
from fair_rabbitmq.journal.replica import Counts
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.parcel import Parcel
from tests.adapters.rabbitmq.test_dead_letters import burial, to_letter
from tests.adapters.rabbitmq.test_delays import Queue, now_ms
from tests.servers.rabbitmq_local import LocalRabbitMQ


@pytest.fixture
async def mortal_connections(rabbitmq_mortal: LocalRabbitMQ) -> AsyncIterator[Connections]:
    connections = Connections(rabbitmq_mortal.url, "test", 2.0, 2)
    yield connections
    await connections.close()


async def test_a_killed_broker_loses_nothing_that_was_confirmed(
    rabbitmq_mortal: LocalRabbitMQ, mortal_connections: Connections, namespace: str, deadline: Deadline
) -> None:
    queue = Queue()
    journal = Journal(mortal_connections, f"{namespace}:journal", dispatcher="x", timeout_seconds=2.0)
    await journal.start()
    delays = Delays(mortal_connections, journal, f"{namespace}:delay", queue.republish)
    await delays.start()
    dead = DeadLetters(
        mortal_connections, journal, f"{namespace}:dead", queue.republish, to_letter, retention_seconds=3600.0
    )
    await dead.start()
    try:
        await delays.delay([Parcel("early", "b", b"")], now_ms() + 3000)
        # RabbitMQ notes only some time after making a quorum queue, or its first stream, that there is
        # one; if it crashes before, what is in it is lost whatever was confirmed.
        await deadline.until(lambda: queue.ids() == ["early"], "the first delayed message")
        await journal.append(e.HandedOver(tuple(e.Lease(str(number), "a", 0) for number in range(100))))
        await dead.bury([burial(str(number)) for number in range(10)])
        due = now_ms() + 3000
        await delays.delay([Parcel(str(number), "a", b"x") for number in range(10, 30)], due)
        rabbitmq_mortal.kill()
        journal.append_soon(e.Ended(("99",)))
        rabbitmq_mortal.launch()

        async def back() -> bool:
            try:
                await journal.barrier()
            except BrokerUnavailable:
                return False
            return len(queue.came) == 21

        await deadline.until(back, "the delayed messages after the restart")
        await deadline.until(
            lambda: journal.replica.counts("a") == Counts(leased=69, dead=10), "what the journal says"
        )
        other = Journal(mortal_connections, f"{namespace}:journal", dispatcher="y", timeout_seconds=5.0)
        await other.start()
        assert other.replica.counts("a") == Counts(leased=69, dead=10)
        await other.close()
        page = await dead.page("a", 100, None)
        assert [letter.id for letter in page] == [str(number) for number in range(10)]
        await dead.bury([burial("70")])
        assert await dead.end("a", None, redrive=True) == 11
    finally:
        await dead.close()
        await delays.close()
        await journal.close()
