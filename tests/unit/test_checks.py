from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from broker_core import CustomerPolicy, Delivery, DispatcherSettings, Message, checks
from broker_core.errors import InvalidArgument, InvalidMessage, Unsupported
from fair_memory.adapter import MemoryAdapter

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEPT = replace(MemoryAdapter.capabilities, policies=frozenset(CustomerPolicy.__dataclass_fields__))


class Text(str):
    """A str of another type."""


def check(*messages: Any, **settings: Any) -> list[Message]:
    return checks.check_messages(messages, DispatcherSettings.load(**settings), MemoryAdapter.capabilities)


@pytest.mark.parametrize("customer", ["a", "x" * 200, "ß{}:*#./% ", "مشتری", "😀", "a\u2028b", Text("acme")])
def test_every_text_without_control_characters_can_be_a_customer(customer: str) -> None:
    checks.check_customer(customer)
    assert check(Message(customer))


@pytest.mark.parametrize(
    "customer",
    ["", "x" * 201, "a\nb", "a\x00", "\x7f", "\x85", "a\ud800", None, 7, b"acme", ["acme"]],
)
def test_other_customers_are_refused(customer: Any) -> None:
    with pytest.raises(InvalidArgument, match="customer must"):
        checks.check_customer(customer)
    with pytest.raises(InvalidMessage, match="message 1: customer must"):
        check(Message("acme"), Message(customer))


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (Message("a", cast(bytes, "text")), "payload must be bytes, not str"),
        (Message("a", cast(bytes, bytearray(b"x"))), "payload must be bytes, not bytearray"),
        (Message("a", b"x" * 11), "payload has 11 bytes, allowed are 10"),
        (Message("a", cost=0), "cost must be an int from 1 to 5"),
        (Message("a", cost=6), "cost must be an int from 1 to 5"),
        (Message("a", cost=True), "cost must be an int"),
        (Message("a", cost=cast(int, 1.0)), "cost must be an int"),
        (Message("a", id=""), "id must be None or a str of 1–200 characters"),
        (Message("a", id="x" * 201), "id must be None or a str"),
        (Message("a", id=cast(str, 7)), "id must be None or a str"),
        (Message("a", id="\ud800"), "id must be encodable"),
        (Message("a", headers=cast(Mapping[str, str], None)), "headers must map text to text"),
        (Message("a", headers=cast(Mapping[str, str], [])), "headers must map text to text"),
        (Message("a", headers=cast(Mapping[str, str], "k")), "headers must map text to text"),
        (Message("a", headers={"k": cast(str, 1)}), "headers must map str to str"),
        (Message("a", headers={cast(str, b"k"): "v"}), "headers must map str to str"),
        (Message("a", headers={"k": "\udfff"}), "headers must map text to text"),
        (Message("a", headers={"key": "x" * 8}), "headers have 11 bytes, allowed are 10"),
        (Message("a", headers={"é" * 5: "x"}), "headers have 11 bytes"),
        (cast(Message, "text"), "must be a Message, not str"),
        (cast(Message, None), "must be a Message, not NoneType"),
    ],
)
def test_a_bad_message_is_named_by_its_place_and_its_problem(message: Message, problem: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        check(Message("a"), message, Message(""), max_payload_bytes=10, max_headers_bytes=10, max_cost=5)
    assert caught.value.index == 1
    assert problem in caught.value.reason


def test_the_limits_themselves_are_allowed() -> None:
    message = Message("a", b"x" * 10, {"k": "x" * 9}, "i" * 200, 5)
    assert check(message, max_payload_bytes=10, max_headers_bytes=10, max_cost=5) == [message]


@pytest.mark.parametrize("messages", [None, 7, Message("a")])
def test_messages_that_are_no_list_are_refused(messages: Any) -> None:
    with pytest.raises(InvalidArgument, match="messages must be a list"):
        checks.check_messages(messages, DispatcherSettings.load(), KEPT)


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (Message("a", not_before=NOW), "not_before"),
        (Message("a", expires_at=NOW), "expires_at"),
        (Message("a", priority=1), "priority"),
    ],
)
def test_what_an_adapter_does_not_keep_is_refused_by_name(message: Message, name: str) -> None:
    with pytest.raises(Unsupported, match=f"does not keep Message.{name}"):
        check(message)
    keeping = replace(KEPT, scheduled=True, ttl=True, priorities=True)
    assert checks.check_messages([message], DispatcherSettings.load(), keeping) == [message]


@pytest.mark.parametrize(
    "policy",
    [
        CustomerPolicy(),
        CustomerPolicy(weight=1, max_in_flight=1, rate=0.001, paused=False, ordered=True, max_backlog=1),
        CustomerPolicy(weight=1000, rate=1e9, max_backlog_bytes=1 << 53),
    ],
)
def test_policies_within_range_pass(policy: CustomerPolicy) -> None:
    checks.check_policy(policy, KEPT)


@pytest.mark.parametrize(
    "fields",
    [
        {"weight": 0},
        {"weight": 1001},
        {"weight": 1.5},
        {"weight": True},
        {"rate": 0},
        {"rate": float("nan")},
        {"rate": "fast"},
        {"paused": 1},
        {"ordered": "yes"},
        {"max_in_flight": 0},
        {"max_backlog": -1},
        {"max_backlog_bytes": 1 << 54},
    ],
)
def test_policies_out_of_range_are_refused_by_name(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(fields))):
        checks.check_policy(CustomerPolicy(**fields), KEPT)


def test_a_policy_field_that_is_not_kept_is_refused() -> None:
    with pytest.raises(Unsupported, match=r"does not keep CustomerPolicy\.rate"):
        checks.check_policy(CustomerPolicy(weight=2, rate=5.0), MemoryAdapter.capabilities)


def test_something_else_is_no_policy() -> None:
    with pytest.raises(InvalidArgument, match="policy must be a CustomerPolicy or None, not dict"):
        checks.check_policy(cast(CustomerPolicy, {"weight": 2}), KEPT)


def test_receipts_come_from_deliveries_or_texts_without_repetition() -> None:
    one = Delivery(Message("a"), "1-1", 1, NOW, NOW, "first")
    assert checks.receipts_of(one) == ["first"]
    assert checks.receipts_of("first") == ["first"]
    assert checks.receipts_of([one, "second", one, "second"]) == ["first", "second"]
    assert checks.receipts_of(iter([one])) == ["first"]
    assert checks.receipts_of([]) == []


@pytest.mark.parametrize("deliveries", [None, 7, [None], [7], b"receipt", [Message("a")]])
def test_other_things_are_no_deliveries(deliveries: Any) -> None:
    with pytest.raises(InvalidArgument):
        checks.receipts_of(deliveries)


def test_ids_come_without_repetition_and_none_means_all() -> None:
    assert checks.ids_of(None) is None
    assert checks.ids_of(["b", "a", "b"]) == ["b", "a"]
    assert checks.ids_of(cast(Any, iter(["a"]))) == ["a"]


@pytest.mark.parametrize("ids", ["1-1", [1], 7, [None]])
def test_other_things_are_no_ids(ids: Any) -> None:
    with pytest.raises(InvalidArgument, match="ids must be a list"):
        checks.ids_of(ids)


@pytest.mark.parametrize("value", [0, 11, 1.0, True, "5", None])
def test_whole_numbers_out_of_range_are_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="limit must be an int from 1 to 10"):
        checks.whole_number("limit", value, 1, 10)


@pytest.mark.parametrize("value", [-0.1, 10.1, float("nan"), float("inf"), True, "5", None])
def test_seconds_out_of_range_are_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="wait must be"):
        checks.seconds("wait", value, 0, 10)


def test_seconds_come_back_as_a_float() -> None:
    assert checks.seconds("wait", 3, 0, 10) == 3.0
    assert isinstance(checks.seconds("wait", 3, 0, 10), float)


def test_a_reason_is_shortened_and_made_encodable() -> None:
    assert checks.reason_text("busy") == "busy"
    assert len(checks.reason_text("x" * 5000)) == checks.MAX_REASON_CHARACTERS
    assert checks.reason_text("a\ud800") == "a?"
    with pytest.raises(InvalidArgument, match="reason must be a str, not bytes"):
        checks.reason_text(cast(str, b"busy"))
