"""Maps what aiokafka raises and what brokers answer to the errors of the public interface, by type."""

from __future__ import annotations

import ssl

from aiokafka import errors

from broker_core.errors import BrokerUnavailable

_REFUSALS = (
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.AuthenticationFailedError,
)
_MISSING_RIGHTS = (
    errors.TopicAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
)
_TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)
# Answers of a broker that isn't responsible (any more): look again who is.
_STALE = (
    errors.NotLeaderForPartitionError,
    errors.LeaderNotAvailableError,
    errors.UnknownTopicOrPartitionError,
    errors.NotControllerError,
    errors.ReplicaNotAvailableError,
)


class NotSent(BrokerUnavailable):
    """No connection could be made, or the broker let us not in: the request had no effect."""


class AnswerLost(BrokerUnavailable):
    """The request was sent, its answer did not come: it may have taken effect."""


class Refused(BrokerUnavailable):
    """The broker answered with an error; `is_stale` says that another broker may be responsible."""

    def __init__(self, reason: str, *, retryable: bool = True, is_stale: bool = False) -> None:
        super().__init__(reason, retryable=retryable)
        self.is_stale = is_stale


def check(code: int, doing: str) -> None:
    """Raise Refused if a broker's error code is one; `doing` says in the text what was tried."""
    if code:
        raise refused(code, doing)


def refused(code: int, doing: str) -> Refused:
    """Return the error for a broker's error code."""
    kind = errors.for_code(code)
    cause = kind()
    if isinstance(cause, _MISSING_RIGHTS):
        error = Refused(
            "the Kafka user lacks a right that the dispatcher needs: check its ACLs", retryable=False
        )
    elif isinstance(cause, _TOO_LARGE):
        error = Refused(
            f"{doing}: larger than the topic's or the broker's max.message.bytes or segment.bytes allow",
            retryable=False,
        )
    else:
        stale = isinstance(cause, _STALE)
        error = Refused(
            f"{doing}: Kafka answered {kind.__name__}",
            retryable=stale or bool(getattr(cause, "retriable", False)),
            is_stale=stale,
        )
    error.__cause__ = cause
    return error


def not_sent(cause: BaseException) -> NotSent:
    """Return the error for a connection that could not be made."""
    reason, retryable = _reason(cause)
    error = NotSent(reason, retryable=retryable)
    error.__cause__ = cause
    return error


def answer_lost(cause: BaseException) -> AnswerLost:
    """Return the error for a request without an answer."""
    error = AnswerLost(_reason(cause)[0])
    error.__cause__ = cause
    return error


def _reason(cause: BaseException) -> tuple[str, bool]:
    # The texts name no server: aiokafka's own texts stay in __cause__.
    if isinstance(cause, _REFUSALS):
        return (
            "Kafka refused the user name or password, or the way of giving them: check the settings "
            "security_protocol, sasl_mechanism, username and password"
        ), False
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            "Kafka's certificate is not valid, or its issuer not trusted here: see ssl_ca_file",
            False,
        )
    if isinstance(cause, errors.IncompatibleBrokerVersion):
        return "this Kafka is too old or too new for the installed aiokafka", False
    return f"Kafka can't be reached or doesn't answer in time ({type(cause).__name__})", True
