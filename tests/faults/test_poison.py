"""Messages that break their consumers: they are buried in the end, and their neighbours are served."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from broker_core.conformance.polling import Deadline
from tests.faults.aftermath import look_and_clean, until_drained
from tests.faults.herd import Herd
from tests.faults.history import merge, read_histories
from tests.faults.invariants import Rules, check
from tests.faults.messages import customer_of, message_of
from tests.faults.process import KILLED_BY_A_MESSAGE, Task
from tests.faults.scene import scene

LEASE_SECONDS = 0.5
MAX_ATTEMPTS = 3
NEIGHBOURS = [f"n{number}" for number in range(4)]


async def test_messages_that_kill_their_process_or_eat_its_memory(
    redis7: object, tmp_path: Path, deadline: Deadline
) -> None:
    settings: dict[str, Any] = {
        "max_attempts": MAX_ATTEMPTS,
        "backoff_base": 0.05,
        "lease_seconds": LEASE_SECONDS,
    }
    keys = [f"{name}/p/{number}" for number in range(50) for name in NEIGHBOURS]
    keys[20:20] = ["poison/p/0"]
    keys[60:60] = ["glutton/p/0"]
    async with scene(tmp_path, **settings) as here:
        target = here.target(through_proxy=False)
        task = Task(target, "fragile", "fragile", str(tmp_path), concurrency=1)
        async with here.dispatcher("publisher") as publisher, Herd([task]) as herd:
            await publisher.publish([message_of(key) for key in keys])
            await until_drained(publisher, deadline)
            await herd.stop()
            aftermath = await look_and_clean(here, publisher)
    assert herd.ends.count(KILLED_BY_A_MESSAGE) == MAX_ATTEMPTS
    findings = check(
        merge(here.history.events, *read_histories(tmp_path)), aftermath, Rules(MAX_ATTEMPTS, LEASE_SECONDS)
    )
    assert findings.violations == []
    reasons = {letter.key: letter.reason for letter in aftermath.dead}
    assert "expired" in reasons.pop("poison/p/0")
    assert "MemoryError" in reasons.pop("glutton/p/0")
    assert reasons == {}, "neighbours were buried too"
    effects = (tmp_path / "effects").read_text().splitlines()
    served = Counter(customer_of(line.split()[0]) for line in effects)
    assert {name: served[name] >= 50 for name in NEIGHBOURS} == dict.fromkeys(NEIGHBOURS, True)
