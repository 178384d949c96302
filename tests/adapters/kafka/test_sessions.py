"""A dispatcher that the ledger has forgotten goes on under another number."""

from __future__ import annotations

import asyncio

from broker_core.conformance.consuming import collect, messages, one
from broker_core.conformance.polling import Deadline
from broker_core.model import Backlog, Message
from fair_kafka.ledger.commands import Close
from fair_kafka.ledger.outcomes import Done
from fair_kafka.namespace import Namespace
from tests.adapters.kafka.stage import Stage


async def forget(inside: Namespace) -> int:
    """Have the ledger forget the session, as it does after an hour of silence; return its number."""
    number = inside.session.number
    await inside.session.run(Close, Done)
    return number


async def test_all_verbs_go_on_in_another_session(stage: Stage, deadline: Deadline) -> None:
    dispatcher, inside = await stage.dispatcher_and_inside(lease_seconds=300)
    await dispatcher.publish(messages("a", 10))
    held = await collect(dispatcher, 4, deadline)
    number = await forget(inside)
    answers = await asyncio.gather(
        dispatcher.ack(held[0]),
        dispatcher.nack(held[1]),
        dispatcher.publish(Message("b")),
        dispatcher.backlog(),
        dispatcher.receive(1),
    )
    assert inside.session.number != number
    assert len(answers[4]) == 1
    await dispatcher.ack([*held[2:], *answers[4], *await collect(dispatcher, 7, deadline)])
    assert await dispatcher.backlog() == Backlog()


async def test_a_waiting_receive_goes_on_too(stage: Stage, deadline: Deadline) -> None:
    dispatcher, inside = await stage.dispatcher_and_inside()
    waiting = asyncio.ensure_future(dispatcher.receive(1, wait=30))
    await asyncio.sleep(0.1)
    await forget(inside)
    await dispatcher.backlog()  # any command finds out
    other = await stage.open_here()
    (message_id,) = await other.publish(Message("a"))
    assert [one.id for one in await asyncio.wait_for(waiting, deadline.remaining)] == [message_id]


async def test_a_closed_dispatcher_is_forgotten(stage: Stage, deadline: Deadline) -> None:
    first, inside = await stage.dispatcher_and_inside()
    await first.publish(messages("a", 1))
    held = await one(first, deadline)
    number = inside.session.number
    await first.close()
    async with stage.inside() as watcher:
        await watcher.session.pass_time()
        assert number not in [session for session, _ in watcher.replica.ledger.sessions]
        assert (await watcher.customers.inspect("a"))[0] == Backlog(ready=1), "closing released it"
    assert held.attempt == 1
