"""What the outcome of a handler means for its message."""

from __future__ import annotations

import logging

from broker_core import checks
from broker_core.adapter import Settlement, Verb
from broker_core.backoff import backoff_seconds
from broker_core.model import Delivery
from broker_core.settings import DispatcherSettings

_log = logging.getLogger(__name__)


class Retry(Exception):
    """Raised by a handler: deliver again after `delay` seconds (0 to a year; None: the usual backoff).

    Raises InvalidArgument for a delay out of range, which is a failure of the handler like any other.
    """

    def __init__(self, delay: float | None = None, reason: str = "") -> None:
        super().__init__(reason)
        self.delay = None if delay is None else checks.seconds("delay", delay, 0, checks.MAX_DELAY_SECONDS)
        self.reason = checks.reason_text(reason)


class Reject(Exception):
    """Raised by a handler: never deliver this message again; it becomes a dead letter with this reason."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = checks.reason_text(reason)


def settlement_for(error: BaseException, delivery: Delivery, settings: DispatcherSettings) -> Settlement:
    """Tell how the delivery ends whose handler raised this error; logs a failure, without the payload."""
    if isinstance(error, Reject):
        return Settlement(Verb.DEAD_LETTER, 0.0, error.reason)
    if isinstance(error, Retry):
        delay = _backoff(delivery, settings) if error.delay is None else error.delay
        return Settlement(Verb.NACK, delay, error.reason)
    _log.warning(
        "the handler failed on message %s of customer %r, attempt %d",
        delivery.id,
        delivery.customer,
        delivery.attempt,
        exc_info=error,
    )
    return Settlement(Verb.NACK, _backoff(delivery, settings), _reason_of(error))


def _backoff(delivery: Delivery, settings: DispatcherSettings) -> float:
    return backoff_seconds(
        delivery.attempt,
        base=settings.backoff_base,
        cap=settings.backoff_cap,
        jitter=settings.backoff_jitter,
    )


def _reason_of(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the text comes from code that isn't ours and that has failed before
        text = "(without a text)"
    return checks.reason_text(f"{type(error).__name__}: {text}")
