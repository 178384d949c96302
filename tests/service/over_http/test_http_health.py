"""Readiness says what can't be done, asks seldom, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import structlog.testing

from broker_core import FairDispatcher, open_dispatcher
from broker_core.errors import BrokerFull, BrokerUnavailable
from fair_dispatcher.http import health
from fair_dispatcher.http.health import Ability, Health
from tests.service.over_http.brokers import Place
from tests.service.over_http.inside import problem, served


class NotSent(BrokerUnavailable):
    """As adapters have errors of their own."""


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(health, "monotonic", clock)
    return clock


def failing(place: Place, verb: str, error: Exception) -> Callable[[], FairDispatcher]:
    def make() -> FairDispatcher:
        dispatcher = place.dispatcher(health.SUFFIX)

        async def fail(*_: object) -> None:
            raise error

        setattr(dispatcher, verb, fail)
        return dispatcher

    return make


@pytest.mark.parametrize(
    ("verb", "error", "expected"),
    [
        ("publish", BrokerFull("no room left"), Ability("broker-full", "ok")),
        ("receive", BrokerUnavailable("no room left"), Ability("ok", "broker-unavailable")),
        ("open", NotSent("no room left"), Ability("broker-unavailable", "broker-unavailable")),
    ],
)
async def test_each_ability_is_told_by_itself(
    in_memory: Place, clock: Clock, verb: str, error: Exception, expected: Ability
) -> None:
    broken = failing(in_memory, verb, error)
    make: list[Callable[[], FairDispatcher]] = [broken, lambda: in_memory.dispatcher(health.SUFFIX)]
    tried = Health(lambda: make[0]())
    with structlog.testing.capture_logs() as lines:
        assert await tried.ability() == expected
    assert [line["reason"] for line in lines] == ["no room left"]
    assert not expected.ready
    make.pop(0)
    assert await tried.ability() == expected  # known for some seconds
    clock.now += health.FRESH_SECONDS
    assert (await tried.ability()).ready
    await tried.close()


async def test_not_ready_is_told_in_words_that_stay(in_memory: Place) -> None:
    async with served(in_memory) as api, api.client(None) as client:
        api.service.health = Health(failing(in_memory, "publish", NotSent("at 10.0.0.1")))
        with structlog.testing.capture_logs() as lines:
            answer = await client.get("/health/ready")
        assert problem(answer) == "not-ready"
        document = answer.json()
        assert (document["publish"], document["receive"]) == ("broker-unavailable", "ok")
        assert document["detail"] == "publish: broker-unavailable; receive: ok"
        assert all(line["reason"] for line in lines if line["log_level"] == "warning")


@pytest.mark.parametrize("length", [1, 57, 58, 64])
async def test_every_namespace_has_one_to_try_in(length: int) -> None:
    tried = Health(lambda: open_dispatcher("memory", namespace=health.probed_namespace("n" * length)))
    assert (await tried.ability()).ready
    await tried.close()


async def test_many_who_ask_share_one_try(in_memory: Place, clock: Clock) -> None:
    made: list[FairDispatcher] = []

    def make() -> FairDispatcher:
        made.append(in_memory.dispatcher(health.SUFFIX))
        return made[-1]

    tried = Health(make)
    answers = await asyncio.gather(*(tried.ability() for _ in range(50)))
    assert all(answer.ready for answer in answers)
    clock.now += health.FRESH_SECONDS
    await tried.ability()
    assert len(made) == 1
    assert made[0].counts["published"] == 2
    tried.ending = True
    assert not (await tried.ability()).ready
    await tried.close()
    await tried.close()


async def test_a_broker_that_hangs_is_not_ready(
    in_memory: Place, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", 0.05)

    def make() -> FairDispatcher:
        dispatcher = in_memory.dispatcher(health.SUFFIX)

        async def hang(*_: object) -> None:
            await asyncio.sleep(600)

        dispatcher.publish = hang  # type: ignore[method-assign, assignment]
        return dispatcher

    tried = Health(make)
    assert await tried.ability() == Ability("timed-out", "timed-out")
    await tried.close()
