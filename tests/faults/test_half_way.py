"""A server function fails half way, which the server doesn't undo: whichever command fails, nothing is lost.

A command fails here since the user lacks the right to it. Messages may come twice then, and counters may be
off; but what was confirmed comes, and what was said to have failed doesn't.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from broker_core.conformance.polling import Deadline
from broker_core.errors import BrokerUnavailable, LeaseLost, PublishFailed
from fair_redis_streams.library import library
from tests.faults.aftermath import look_and_clean
from tests.faults.invariants import Rules, check
from tests.faults.messages import message_of
from tests.faults.recorded import RecordedDispatcher
from tests.faults.scene import USER, Scene, scene

LEASE_SECONDS = 0.4
MAX_ATTEMPTS = 10
COMMANDS = sorted(set(re.findall(r"redis\.p?call\('([A-Z]+)'", library().source)))
SOME = ["HDEL", "HINCRBY", "XADD", "ZADD"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    short = metafunc.config.getoption("--conformance-size") == "short"
    metafunc.parametrize("command", SOME if short else COMMANDS)


@pytest.fixture
async def here(redis7: object, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(tmp_path, lease_seconds=LEASE_SECONDS, max_attempts=MAX_ATTEMPTS) as here:
        yield here


async def attempt(call: Awaitable[object]) -> None:
    """Let a call fail in the ways in which it may."""
    try:
        await call
    except (PublishFailed, LeaseLost):
        return
    except BrokerUnavailable as error:
        if error.retryable:
            raise


async def test_nothing_is_lost_when_a_command_fails(here: Scene, deadline: Deadline, command: str) -> None:
    async with here.dispatcher("one") as one, here.admin() as client:
        await one.publish([message_of(f"{name}/p/{number}") for number in range(8) for name in "abc"])
        held = await one.receive(12)
        await one.nack(held[0])
        await one.nack(held[1], delay=0.1)
        await one.dead_letter(held[2], "bad number")
        await client.acl_setuser(USER, enabled=True, commands=[f"-{command.lower()}"])
        await attempt(one.publish([message_of("a/q/0"), message_of("a/r/0")]))
        await attempt(one.publish([message_of("d/q/0"), message_of("d/r/0")]))
        await attempt(one.receive(3))
        await attempt(one.ack(held[3]))
        await attempt(one.nack(held[4]))
        await attempt(one.nack(held[5], delay=0.1))
        await attempt(one.release(held[6]))
        await attempt(one.dead_letter(held[7], "bad number"))
        await attempt(one.extend(held[8]))
        await attempt(one.receive(3))
        await client.acl_setuser(USER, enabled=True, commands=[f"+{command.lower()}"])
        await drain(one, deadline)
        aftermath = await look_and_clean(here, one)
    findings = check(here.history.events, aftermath, Rules(MAX_ATTEMPTS, LEASE_SECONDS))
    assert findings.of("I1") == findings.of("I2") == findings.of("I6") == []


async def drain(dispatcher: RecordedDispatcher, deadline: Deadline) -> None:
    """Receive until nothing comes for several leases and nothing is ready, also after the ring was mended."""
    idle = 0
    while idle < 4 or await ready(dispatcher):
        deadline.check("an end of the messages")
        got = await dispatcher.receive(100, wait=1.5 * LEASE_SECONDS)
        idle = 0 if got else idle + 1
        await attempt(dispatcher.ack(got))


async def ready(dispatcher: RecordedDispatcher) -> int:
    """Count what is ready by customer, since the total may be off."""
    return sum([(await dispatcher.backlog(name)).ready for name in "abcd"])
