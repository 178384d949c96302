"""A consumer is killed in the middle of its work: another takes over, once, as soon as the lease is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker_core.conformance.polling import Deadline
from broker_core.model import Backlog
from tests.faults.aftermath import look_and_clean, until_drained
from tests.faults.herd import Child
from tests.faults.history import merge, read_histories
from tests.faults.invariants import Rules, check
from tests.faults.lives import lives_of
from tests.faults.messages import message_of
from tests.faults.process import Task
from tests.faults.scene import Scene, scene

LEASE_SECONDS = 1.0
TAKEOVER_SECONDS = 2.0


@pytest.fixture
async def here(redis7: object, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(tmp_path, lease_seconds=LEASE_SECONDS) as here:
        yield here


async def start(here: Scene, actor: str, behaviour: str) -> Child:
    return await Child.start(Task(here.target(through_proxy=False), actor, behaviour, str(here.folder)))


@pytest.mark.parametrize(
    ("behaviour", "effects"),
    [("stall_before", ["acme/p/0 2"]), ("stall_after", ["acme/p/0 1", "acme/p/0 2"])],
)
async def test_exactly_one_more_delivery(
    here: Scene, deadline: Deadline, behaviour: str, effects: list[str]
) -> None:
    """Killed before its effect, a message has it once; killed between effect and ack, twice."""
    async with here.dispatcher("publisher") as publisher:
        await publisher.publish(message_of("acme/p/0"))
        first = await start(here, "first", behaviour)
        await deadline.until((here.folder / "stalled").exists, "a consumer in the middle of its work")
        second = await start(here, "second", behaviour)
        await first.kill()
        await until_drained(publisher, deadline)
        second.ask_to_end()
        assert await second.ended() == 0
        aftermath = await look_and_clean(here, publisher)
    assert (here.folder / "effects").read_text().splitlines() == effects
    events = merge(here.history.events, *read_histories(here.folder))
    findings = check(events, aftermath, Rules(5, LEASE_SECONDS))
    assert findings.violations == []
    assert (findings.hand_overs, findings.duplicates) == (2, 1)
    killed, taken = lives_of(events)["acme/p/0"].in_broker_order()
    ended_at = lives_of(events)["acme/p/0"].lease_end(killed)
    assert taken.item.lease_until - LEASE_SECONDS - ended_at < TAKEOVER_SECONDS


async def test_a_suspended_consumer_may_neither_ack_nor_give_back(here: Scene, deadline: Deadline) -> None:
    """It wakes up when its message is another's: what it does then changes nothing."""
    async with here.dispatcher("publisher") as publisher:
        await publisher.publish(message_of("acme/p/0"))
        zombie = await start(here, "zombie", "stall_before")
        await deadline.until((here.folder / "stalled").exists, "a consumer in the middle of its work")
        zombie.suspend()
        (taken,) = await publisher.receive(1, wait=10)
        assert taken.attempt == 2
        zombie.resume()
        zombie.ask_to_end()  # it gives back what it believes to hold
        assert await zombie.ended() == 0
        assert await publisher.backlog() == Backlog(leased=1)
        await publisher.ack(taken)
        aftermath = await look_and_clean(here, publisher)
    events = merge(here.history.events, *read_histories(here.folder))
    assert check(events, aftermath, Rules(5, LEASE_SECONDS)).violations == []
