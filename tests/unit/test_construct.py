"""What is made quickly is the same as what the constructors make, in every respect."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime

import pytest

from broker_core import Delivery, Message
from broker_core.construct import delivery_of, message_of

AT = datetime(2026, 1, 2, tzinfo=UTC)
MESSAGES = (
    message_of("acme", b"payload", {"a": "b"}, "key", 3),
    Message("acme", b"payload", {"a": "b"}, "key", 3),
)
DELIVERIES = (
    delivery_of(MESSAGES[0], "1-0", 2, AT, AT, "receipt"),
    Delivery(MESSAGES[1], "1-0", 2, AT, AT, "receipt"),
)


@pytest.mark.parametrize(("made", "constructed"), [MESSAGES, DELIVERIES], ids=["message", "delivery"])
def test_it_is_the_same(made: Message | Delivery, constructed: Message | Delivery) -> None:
    assert type(made) is type(constructed)
    assert made == constructed
    assert repr(made) == repr(constructed)
    for field in fields(constructed):
        assert getattr(made, field.name) == getattr(constructed, field.name)
    assert copy.copy(made) == pickle.loads(pickle.dumps(made)) == constructed
    with pytest.raises(FrozenInstanceError):
        made.id = "other"  # type: ignore[misc]


def test_deliveries_can_be_members_of_sets() -> None:
    plain = Message("acme", b"", ())  # type: ignore[arg-type]  # a dict can't be hashed
    quick = message_of("acme", b"", (), None, 1)  # type: ignore[arg-type]
    assert hash(quick) == hash(plain)
