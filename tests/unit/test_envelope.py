from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_core import Message
from broker_core.envelope import UndecodableEnvelope, decode, encode

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.binary(max_size=200), st.dictionaries(texts, texts, max_size=4), st.none() | texts, st.integers(1))
def test_what_is_encoded_comes_back_the_same(
    payload: bytes, headers: dict[str, str], message_id: str | None, cost: int
) -> None:
    message = Message("acme", payload, headers, message_id, cost)
    assert decode(encode(message), "acme", cost) == message


def test_it_repeats_nothing_that_the_broker_knows() -> None:
    assert encode(Message("acme", b"hello", cost=7)) == encode(Message("other", b"hello"))
    assert b"acme" not in encode(Message("acme", b"hello"))
    assert len(encode(Message("acme", b"x" * 100))) <= 103


def test_an_id_that_is_empty_is_not_the_same_as_none() -> None:
    assert decode(encode(Message("acme", id="")), "acme", 1).id == ""
    assert decode(encode(Message("acme")), "acme", 1).id is None


@pytest.mark.parametrize("data", [b"\xff", b"garbage", b"\x0a\x05abc", b"\x12\x02\x0a\xff"])
def test_bytes_that_are_no_envelope_are_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(UndecodableEnvelope) as caught:
        decode(data, "acme", 1)
    assert caught.value.__cause__ is not None


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(UndecodableEnvelope):
        assert isinstance(decode(data, "acme", 1), Message)
