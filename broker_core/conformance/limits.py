"""K. Large calls, honest refusals, quiet logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest

from broker_core.conformance.consuming import (
    assert_backlog,
    assert_nothing,
    collect,
    messages,
    one,
    take_turns,
)
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.recorder import Recorder
from broker_core.conformance.requirements import CAPABILITIES, requires
from broker_core.conformance.topics import TOPICS
from broker_core.errors import DispatcherError, InvalidArgument, Unsupported
from broker_core.model import CustomerPolicy, Message

REFUSED_POLICIES = {
    "weight": CustomerPolicy(weight=2),
    "max_in_flight": CustomerPolicy(max_in_flight=1),
    "rate": CustomerPolicy(rate=1.0),
    "paused": CustomerPolicy(paused=True),
    "ordered": CustomerPolicy(ordered=True),
    "max_backlog": CustomerPolicy(max_backlog=1),
    "max_backlog_bytes": CustomerPolicy(max_backlog_bytes=1),
}
PAYLOAD = "never-to-be-logged-payload"


def needs_of_all_tests() -> Iterator[str]:
    """Name what any test of the suite requires."""
    for topic in TOPICS:
        module = import_module(f"broker_core.conformance.{topic}")
        for kind in vars(module).values():
            if isinstance(kind, type) and kind.__module__ == module.__name__:
                for holder in (kind, *vars(kind).values()):
                    for mark in getattr(holder, "pytestmark", []):
                        if mark.name == "requires":
                            yield from mark.args


class TestLimits:
    """The edges of what may be asked for."""

    async def test_k1_ten_thousand_at_once(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """10,000 messages in one publish, in one receive and in one ack."""
        dispatcher = await harness.open(namespace)
        ids = await dispatcher.publish(take_turns(*(messages(f"c{number}", 1000) for number in range(10))))
        assert len(set(ids)) == 10_000
        recorder = Recorder()
        while len(recorder) < 10_000:
            deadline.check("10,000 messages")
            recorder.record(await dispatcher.receive(10_000, wait=1))
        recorder.check(ids)
        held = recorder.deliveries
        assert len(await dispatcher.extend(held)) == 10_000
        await dispatcher.nack(held[:3000])
        await dispatcher.release(held[3000:6000])
        await dispatcher.ack(held[6000:])
        again = await collect(dispatcher, 6000, deadline, max_messages=10_000)
        await dispatcher.dead_letter(again, reason="all")
        await assert_backlog(dispatcher, dead=6000)
        assert sum([await dispatcher.redrive(f"c{number}") for number in range(10)]) == 6000
        await dispatcher.ack(await collect(dispatcher, 6000, deadline, max_messages=10_000))
        await assert_backlog(dispatcher)

    async def test_k7_a_large_batch_of_large_payloads(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Payloads of the largest size in one batch are stored and received, together larger than a call."""
        dispatcher = await harness.open(namespace)
        largest = bytes(dispatcher.settings.max_payload_bytes)
        ids = await dispatcher.publish([Message(f"c{place % 3}", largest) for place in range(24)])
        recorder = Recorder()
        recorder.record(await collect(dispatcher, 24, deadline))
        recorder.check(ids)
        assert all(len(delivery.message.payload) == len(largest) for delivery in recorder.deliveries)
        await dispatcher.ack(recorder.deliveries)

    async def test_k3_no_payload_and_no_secret_is_logged(
        self, harness: Harness, namespace: str, deadline: Deadline, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nothing that the package logs at INFO and above, nor any repr of it, shows a payload."""
        with caplog.at_level(logging.INFO):
            dispatcher = await harness.open(namespace, max_attempts=1)
            await dispatcher.publish([Message("a", PAYLOAD.encode(), {"header": PAYLOAD})] * 3)
            deliveries = await collect(dispatcher, 3, deadline)
            await dispatcher.nack(deliveries[0], reason="no")
            await dispatcher.dead_letter(deliveries[1])
            (letter, *_) = await dispatcher.dead_letters()
            await dispatcher.ack(deliveries[2])
            with pytest.raises(DispatcherError) as error:
                await dispatcher.nack(deliveries[2])
            shown = repr([deliveries, letter, deliveries[0].message, error.value, dispatcher])
            await dispatcher.close()
        assert PAYLOAD not in caplog.text
        assert PAYLOAD not in shown

    @requires("credentials")
    async def test_k3_no_password_is_logged(
        self, harness: Harness, namespace: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A refused password is in no log and in no repr."""
        with caplog.at_level(logging.INFO):
            dispatcher = harness.unauthorised(namespace)
            with pytest.raises(DispatcherError):
                await dispatcher.open()
            shown = f"{dispatcher!r} {dispatcher.settings!r} {dispatcher.settings}"
            await dispatcher.close()
        assert "wrong-secret" not in caplog.text + shown

    async def test_k4_arguments_out_of_range_are_refused(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Numbers, waits and delays outside their ranges are InvalidArgument, before anything happens."""
        dispatcher = await harness.open(namespace)
        await dispatcher.publish(messages("a", 1))
        for max_messages in (0, -1, 10_001, 1.5, True, "1", None):
            with pytest.raises(InvalidArgument):
                await dispatcher.receive(max_messages)  # type: ignore[arg-type]
        for wait in (-0.1, 3601, float("nan"), float("inf"), "1", None):
            with pytest.raises(InvalidArgument):
                await dispatcher.receive(1, wait=wait)  # type: ignore[arg-type]
        held = await one(dispatcher, deadline)
        for delay in (-1, float("nan"), float("inf"), 366 * 86400, "1", None):
            with pytest.raises(InvalidArgument):
                await dispatcher.nack(held, delay=delay)  # type: ignore[arg-type]
        for length in (0, -1, float("nan"), 86401, "1"):
            with pytest.raises(InvalidArgument):
                await dispatcher.extend(held, length)  # type: ignore[arg-type]
        for reason in (1, None, b"x"):
            with pytest.raises(InvalidArgument):
                await dispatcher.dead_letter(held, reason=reason)  # type: ignore[arg-type]
        for ids in ("abc", [1], [None]):
            with pytest.raises(InvalidArgument):
                await dispatcher.redrive("a", ids)  # type: ignore[arg-type]
        await assert_backlog(dispatcher, leased=1)

    async def test_k4_a_long_reason_is_shortened(
        self, harness: Harness, namespace: str, deadline: Deadline
    ) -> None:
        """Reasons of any length and content are accepted; the beginning is kept."""
        dispatcher = await harness.open(namespace)
        for reason in ("x" * 100_000, "سلام" * 1000, "", "\0\n\ud800"):
            await dispatcher.publish(messages("a", 1))
            await dispatcher.dead_letter(await one(dispatcher, deadline), reason=reason)
            (letter,) = await dispatcher.dead_letters("a")
            assert len(letter.reason) <= 1000
            assert letter.reason[:2] == reason[:2]
            await dispatcher.purge_dead_letters("a")

    async def test_k5_what_is_not_kept_is_refused(self, harness: Harness, namespace: str) -> None:
        """Every field of policies and messages that isn't kept is Unsupported, and nothing changes."""
        dispatcher = await harness.open(namespace)
        kept = dispatcher.capabilities
        assert set(REFUSED_POLICIES) == {field.name for field in fields(CustomerPolicy)} >= kept.policies
        for name, policy in REFUSED_POLICIES.items():
            if name not in kept.policies:
                with pytest.raises(Unsupported):
                    await dispatcher.set_policy("a", policy)
                assert await dispatcher.get_policy("a") is None
        later = datetime.now(UTC) + timedelta(hours=1)
        for offered, message in (
            (kept.scheduled, Message("a", not_before=later)),
            (kept.ttl, Message("a", expires_at=later)),
            (kept.priorities, Message("a", priority=1)),
        ):
            if not offered:
                with pytest.raises(Unsupported) as error:
                    await dispatcher.publish([Message("a"), message])
                assert not error.value.retryable
        await assert_backlog(dispatcher)
        await assert_nothing(dispatcher)

    async def test_k5_what_is_declared_is_tested(self, harness: Harness) -> None:
        """For every capability that the adapter declares there is a test that needs it."""
        declared = {name for name, keeps in CAPABILITIES.items() if keeps(harness.capabilities)}
        untested = declared - set(needs_of_all_tests())
        assert not untested, f"declared, but no test of the suite needs it: {sorted(untested)}"
