"""What a handler's exception means for its message."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from broker_core import Delivery, DispatcherSettings, Message, Reject, Retry
from broker_core.adapter import Settlement, Verb
from broker_core.errors import InvalidArgument
from broker_core.handling import settlement_for

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def outcome(error: BaseException, attempt: int = 1, **settings: Any) -> Settlement:
    delivery = Delivery(Message("acme", b"canary"), "1-1", attempt, NOW, NOW, "receipt")
    return settlement_for(error, delivery, DispatcherSettings.load(**{"backoff_jitter": 0, **settings}))


def test_retry_says_when_and_why() -> None:
    assert outcome(Retry(2.5, "smsc busy")) == Settlement(Verb.NACK, 2.5, "smsc busy")
    assert outcome(Retry(0)) == Settlement(Verb.NACK, 0.0, "")


def test_retry_without_a_delay_is_the_usual_backoff() -> None:
    assert outcome(Retry(reason="busy"), attempt=3) == Settlement(Verb.NACK, 4.0, "busy")


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), 400 * 86400, "soon", True])
def test_a_delay_out_of_range_is_a_failure_of_the_handler(delay: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Retry(delay)
    assert outcome(caught.value).reason.startswith("InvalidArgument: delay must be")


def test_reject_is_the_end() -> None:
    assert outcome(Reject("bad number")) == Settlement(Verb.DEAD_LETTER, 0.0, "bad number")


def test_any_other_exception_backs_off_with_its_type_and_text() -> None:
    assert outcome(ValueError("bad")) == Settlement(Verb.NACK, 1.0, "ValueError: bad")
    assert outcome(KeyError("k"), attempt=4) == Settlement(Verb.NACK, 8.0, "KeyError: 'k'")
    assert outcome(ValueError("bad"), attempt=50, backoff_cap=60) == Settlement(
        Verb.NACK, 60.0, "ValueError: bad"
    )


def test_backoff_can_be_zero() -> None:
    assert outcome(ValueError("bad"), backoff_base=0).delay_seconds == 0


def test_delays_differ() -> None:
    assert len({outcome(ValueError("bad"), backoff_jitter=0.2).delay_seconds for _ in range(20)}) > 10


def test_an_exception_that_can_not_tell_its_text_is_a_failure_like_any_other() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    assert outcome(Mute()).reason == "Mute: (without a text)"


def test_long_and_unencodable_texts_become_a_reason() -> None:
    assert outcome(ValueError("x" * 5000)).reason == "ValueError: " + "x" * 988
    assert outcome(ValueError("\ud800")).reason == "ValueError: ?"
    assert Retry(1, "\ud800").reason == "?"


def test_a_failure_is_logged_with_its_place_but_without_the_payload(caplog: pytest.LogCaptureFixture) -> None:
    outcome(ValueError("bad"))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.exc_info is not None
    assert "message 1-1 of customer 'acme', attempt 1" in caplog.text
    assert "ValueError: bad" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("error", [Retry(), Reject()])
def test_what_a_handler_decides_is_no_failure(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    outcome(error)
    assert caplog.records == []
