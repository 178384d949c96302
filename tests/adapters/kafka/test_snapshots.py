"""The ledger stays short, and a state that comes from a snapshot is the same as one that was replayed."""

from __future__ import annotations

import pytest

from broker_core.conformance.consuming import collect, messages
from broker_core.conformance.polling import Deadline
from broker_core.model import Backlog, CustomerPolicy, Message
from fair_kafka import cleaning
from tests.adapters.kafka.stage import Stage


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "FEWEST_BYTES_BETWEEN_SNAPSHOTS", 1)
    monkeypatch.setattr(cleaning, "PERIOD_SECONDS", 0.05)


async def until_shortened(stage: Stage, deadline: Deadline, beyond: int = 0) -> int:
    """Return where the ledger begins, once that is beyond an offset."""
    start = 0

    async def shortened() -> bool:
        nonlocal start
        start = (await stage.spans())[stage.names.ledger, 0][0]
        return start > beyond

    await deadline.until(shortened, "a ledger whose beginning is gone")
    return start


@pytest.mark.usefixtures("_often")
async def test_a_new_dispatcher_begins_with_a_snapshot(stage: Stage, deadline: Deadline) -> None:
    first = await stage.open_here(lease_seconds=300)
    await first.set_policy("c", CustomerPolicy(weight=7))
    await first.publish([*messages("a", 10), Message("b", b"once", id="key")])
    held = await collect(first, 4, deadline)
    await first.nack(held[0], delay=300)
    await first.dead_letter(held[1], reason="no")
    await until_shortened(stage, deadline)
    second = await stage.open_here(lease_seconds=300)
    assert await second.backlog() == await first.backlog() == Backlog(ready=7, leased=2, delayed=1, dead=1)
    assert list(await second.customers()) == list(await first.customers())
    assert await second.get_policy("c") == CustomerPolicy(weight=7)
    assert await second.publish(Message("b", b"twice", id="key")) != []
    assert (await second.backlog("b")).ready == (await first.backlog("b")).ready == 1
    await second.ack(held[2:])
    await second.ack(await collect(second, 7, deadline))
    assert await first.backlog() == Backlog(delayed=1, dead=1)


@pytest.mark.usefixtures("_often")
async def test_who_was_away_for_long_goes_on_with_a_snapshot(
    stage: Stage, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    awake = await stage.open_here()
    away, inside = await stage.dispatcher_and_inside()
    await inside.follower.close()
    position = inside.replica.position
    await awake.publish(messages("a", 5))
    await until_shortened(stage, deadline, position)
    monkeypatch.setattr(cleaning, "FEWEST_BYTES_BETWEEN_SNAPSHOTS", 1 << 30)
    inside.follower.start()
    assert (await away.backlog()).ready == 5
    await away.ack(await collect(away, 5, deadline))
    assert await awake.backlog() == Backlog()
