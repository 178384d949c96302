from __future__ import annotations

import pytest

from broker_core import errors
from broker_core.errors import (
    BacklogFull,
    BrokerFull,
    BrokerUnavailable,
    Closed,
    ConfigurationError,
    DispatcherError,
    InvalidArgument,
    InvalidMessage,
    LeaseLost,
    PublishFailed,
    Unsupported,
)


def test_every_error_has_the_one_root() -> None:
    found = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Exception)]
    assert len(found) >= 11
    assert all(issubclass(one, DispatcherError) for one in found)


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (BrokerUnavailable("no route"), True),
        (BrokerUnavailable("wrong password", retryable=False), False),
        (BrokerFull("memory"), True),
        (BacklogFull("limit"), True),
        (Closed("closed"), False),
        (ConfigurationError("wrong"), False),
        (InvalidArgument("wrong"), False),
        (InvalidMessage("wrong"), False),
        (LeaseLost(["r"]), False),
        (Unsupported("rate"), False),
        (PublishFailed({}, {}, [0]), True),
        (PublishFailed({0: "1-1"}, {1: BacklogFull("limit")}, []), True),
        (PublishFailed({0: "1-1"}, {1: Unsupported("ttl")}, []), False),
    ],
)
def test_each_says_whether_trying_again_can_help(error: DispatcherError, retryable: bool) -> None:
    assert error.retryable is retryable


def test_an_invalid_message_names_its_place_in_the_batch() -> None:
    error = InvalidMessage("payload too large", 7)
    assert error.index == 7
    assert str(error) == "message 7: payload too large"


def test_lost_leases_are_named() -> None:
    assert LeaseLost(["a", "b"]).lost == ["a", "b"]


def test_a_failed_publish_tells_the_fate_of_every_message() -> None:
    error = PublishFailed({0: "1-1"}, {1: BacklogFull("limit")}, [2, 3])
    assert (error.stored, list(error.rejected), error.unknown) == ({0: "1-1"}, [1], [2, 3])
    assert "1 messages stored, 1 rejected, 2 unknown" in str(error)
