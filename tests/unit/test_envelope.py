from __future__ import annotations

import contextlib

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from broker_core import Message
from broker_core.envelope import UndecodableEnvelope, decode, encode
from broker_core.envelope_pb2 import Envelope

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


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 16_383, 16_384, 70_000])
def test_a_payload_of_any_length_comes_back(size: int) -> None:
    assert decode(encode(Message("acme", b"\x0a" * size)), "acme", 1).payload == b"\x0a" * size


@given(st.lists(st.sampled_from([0, 1, 2, 3, 4, 10, 128, 129, 130]) | st.integers(0, 255), max_size=12))
def test_the_quick_way_reads_what_the_decoder_reads(rest: list[int]) -> None:
    data = bytes([10, *rest])
    try:
        wanted = Envelope.FromString(data)
    except DecodeError:
        with pytest.raises(UndecodableEnvelope):
            decode(data, "acme", 1)
    else:
        message = decode(data, "acme", 1)
        assert (message.payload, message.headers) == (wanted.payload, dict(wanted.headers))
        assert (message.id or "") == wanted.message_id


@pytest.mark.parametrize("data", [b"\xff", b"garbage", b"\x0a\x05abc", b"\x12\x02\x0a\xff"])
def test_bytes_that_are_no_envelope_are_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(UndecodableEnvelope) as caught:
        decode(data, "acme", 1)
    assert caught.value.__cause__ is not None


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(UndecodableEnvelope):
        assert isinstance(decode(data, "acme", 1), Message)
