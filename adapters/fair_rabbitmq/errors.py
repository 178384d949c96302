"""Maps what aiormq raises to the errors of the public interface, by type."""

from __future__ import annotations

import ssl

from aiormq import exceptions

from broker_core.errors import BrokerUnavailable, DispatcherError


class NotSent(BrokerUnavailable):
    """Nothing of the request has reached the broker."""


def to_dispatcher_error(error: BaseException) -> DispatcherError:
    """Return the error to raise `from` this one."""
    # The texts below name no server and no URL: the client's own texts stay in __cause__.
    if isinstance(error, DispatcherError):
        return error
    if isinstance(error, (exceptions.ProbableAuthenticationError, exceptions.AuthenticationError)):
        return BrokerUnavailable(
            "RabbitMQ refused the user name or password: check RABBITMQ_URL", retryable=False
        )
    if isinstance(error, (exceptions.ConnectionNotAllowed, exceptions.ChannelAccessRefused)):
        return BrokerUnavailable(
            "RabbitMQ refused the virtual host, or the user lacks a right in it", retryable=False
        )
    if isinstance(error, exceptions.ChannelPreconditionFailed):
        return BrokerUnavailable(
            "something of this name exists in RabbitMQ with other properties", retryable=False
        )
    if _is_distrust(error):
        return BrokerUnavailable(
            "RabbitMQ's certificate is not valid, or its issuer not trusted", retryable=False
        )
    return BrokerUnavailable(f"RabbitMQ can't be reached or doesn't answer in time ({type(error).__name__})")


def is_about_a_missing_queue(error: BaseException) -> bool:
    """Tell whether an error that was raised `from` the client's says that a queue doesn't exist."""
    return isinstance(error.__cause__, exceptions.ChannelNotFoundEntity)


def _is_distrust(error: BaseException | None) -> bool:
    # aiormq raises an error of its own and keeps this one as its cause.
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__
    return False


# What the client raises when the broker, or the way to it, fails.
CLIENT_ERRORS = (
    exceptions.AMQPError,
    exceptions.ChannelInvalidStateError,
    OSError,
    TimeoutError,
    RuntimeError,
)
