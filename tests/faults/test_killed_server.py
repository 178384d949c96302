"""A server that writes its file once a second is killed under traffic.

It may put off its writing for two seconds while the disk is busy, so what it confirmed in these may be lost,
but the last of it only; and what survives is whole.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

from broker_core.conformance.consuming import running
from broker_core.conformance.polling import Deadline
from broker_core.conformance.stubbornness import again_and_again
from broker_core.model import Backlog
from tests.faults.messages import message_of
from tests.faults.recorded import RecordedDispatcher
from tests.faults.scene import Scene, scene

WINDOW_SECONDS = 3.0
LEASE_SECONDS = 1.0


async def publish_for_ever(dispatcher: RecordedDispatcher, confirmed: dict[str, float]) -> None:
    """Publish; note when each message was confirmed, in the order of publishing."""
    for number in itertools.count():
        ids = await dispatcher.publish([message_of(f"c{place}/p/{number}") for place in range(5)])
        confirmed.update(dict.fromkeys(ids, time.monotonic()))
        await asyncio.sleep(0.001)


async def keep_some(dispatcher: RecordedDispatcher, acked: set[str]) -> None:
    """Be in the middle of things: some messages acked, some leased, some delayed, some dead."""
    while True:
        got = await dispatcher.receive(8)
        await dispatcher.ack(got[:4])
        acked |= {delivery.id for delivery in got[:4]}
        await dispatcher.nack(got[4:5], delay=0.5)
        await dispatcher.dead_letter(got[5:6], "bad number")
        await asyncio.sleep(0.02)


async def survivors(here: Scene, deadline: Deadline) -> set[str]:
    """Finish what the server has kept; every count has to be 0 then."""
    found: set[str] = set()
    async with here.dispatcher("after") as after:
        while (backlog := await after.backlog()).ready + backlog.leased + backlog.delayed:
            deadline.check(f"an end of {backlog}")
            got = await after.receive(100, wait=0.5)
            assert all(delivery.message == message_of(delivery.message.id or "") for delivery in got)
            found |= {delivery.id for delivery in got}
            await after.ack(got)
        for place in range(5):
            letters = await after.dead_letters(f"c{place}", limit=1000)
            found |= {letter.id for letter in letters}
            await after.purge_dead_letters(f"c{place}")
        assert await after.backlog() == Backlog()
        assert await here.residue() == []
    return found


async def test_what_a_killed_server_may_lose(redis7: object, tmp_path: Path, deadline: Deadline) -> None:
    confirmed: dict[str, float] = {}
    acked: set[str] = set()
    settings: dict[str, Any] = {"lease_seconds": LEASE_SECONDS, "max_attempts": 100}
    async with scene(tmp_path, appendfsync="everysec", **settings) as here:
        async with here.dispatcher("publisher") as publisher, here.dispatcher("consumer") as consumer:
            async with running([keep_some(consumer, acked), publish_for_ever(publisher, confirmed)]):
                await asyncio.sleep(2.0)
                killed_at = time.monotonic()
                here.server.kill()
            await here.restart()
            await again_and_again(publisher.backlog, deadline)
        found = await survivors(here, deadline)
    lost = set(confirmed) - found - acked
    print(f"{len(confirmed)} confirmed, {len(lost)} lost")
    assert len(confirmed) > 100
    assert all(confirmed[message_id] > killed_at - WINDOW_SECONDS for message_id in lost)
    in_order = list(confirmed)
    first_lost = next((place for place, one in enumerate(in_order) if one in lost), len(in_order))
    assert set(in_order[first_lost:]) - acked == lost, "what is lost is not the last part"
