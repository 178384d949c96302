"""Maps what redis-py raises to the errors of the public interface, by type and error code."""

from __future__ import annotations

import ssl

from redis import exceptions

from broker_core.errors import BrokerFull, BrokerUnavailable, DispatcherError, Unsupported

# Codes of errors that pass by themselves.
_PASSING_CODES = (
    "BUSY",
    "MISCONF",
    "NOREPLICAS",
    "TRYAGAIN",
    "MASTERDOWN",
    "UNBLOCKED",
    "LOADING",
    "READONLY",
)
# The code of an error with which a server function ended after a part of its work, see 90_operation.lua.
_HALF_WAY = "HALFWAY"
# What SELECT is refused with has no code.
_NO_DATABASE = "DB index is out of range"


class HalfWay(BrokerUnavailable):
    """The operation failed in the middle: a part of it may be done."""


def code_of(error: BaseException) -> str:
    """Return the error code that the server put before its text, '' if there is none."""
    code = getattr(error, "status_code", None)
    if isinstance(code, str) and code:
        return code
    word = str(error).split(" ", 1)[0]
    return word if word.isupper() and word.isalpha() else ""


def to_dispatcher_error(error: BaseException) -> DispatcherError:
    """Return the error to raise `from` this one."""
    # The texts below name no server and no URL: redis-py's own texts stay in __cause__.
    if isinstance(error, exceptions.OutOfMemoryError):
        return BrokerFull("Redis has reached maxmemory: messages are refused until some are acked")
    if isinstance(error, (exceptions.AuthenticationError, exceptions.AuthorizationError)):
        return BrokerUnavailable("Redis refused the user name or password: check REDIS_URL", retryable=False)
    if isinstance(error, exceptions.NoPermissionError):
        return BrokerUnavailable(
            "the Redis user lacks a right that the dispatcher needs: check its ACL", retryable=False
        )
    if isinstance(
        error, (exceptions.AskError, exceptions.ClusterDownError, exceptions.ClusterCrossSlotError)
    ):
        return Unsupported("this Redis is a cluster node: the adapter works with a single primary")
    if _is_distrust(error):
        return BrokerUnavailable(
            "Redis' certificate is not valid, or its issuer not trusted here: see ssl_ca_certs in REDIS_URL",
            retryable=False,
        )
    if isinstance(error, exceptions.InvalidResponse):
        return BrokerUnavailable(
            "what answers is no Redis: check host and port in REDIS_URL, and rediss:// for TLS",
            retryable=False,
        )
    if isinstance(error, (exceptions.ConnectionError, exceptions.TimeoutError, TimeoutError, OSError)):
        return BrokerUnavailable(f"Redis can't be reached or doesn't answer in time ({type(error).__name__})")
    if _NO_DATABASE in str(error):
        return BrokerUnavailable(
            "Redis has no database of this number: choose another one in REDIS_URL, or raise `databases` in "
            "the server's configuration",
            retryable=False,
        )
    if code_of(error) == _HALF_WAY:
        reason = str(error).removeprefix(f"{_HALF_WAY} ")
        passing = reason.split(" ", 1)[0] in _PASSING_CODES
        return HalfWay(f"Redis failed in the middle of an operation: {reason}", retryable=passing)
    passing = code_of(error) in _PASSING_CODES
    return BrokerUnavailable(f"Redis refused a command: {error}", retryable=passing)


def _is_distrust(error: BaseException | None) -> bool:
    # redis-py raises an error of its own and keeps this one as its context.
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
