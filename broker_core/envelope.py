"""Encodes the part of a message that no broker needs to read: payload, headers and the producer's key."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from broker_core.construct import message_of
from broker_core.envelope_pb2 import Envelope
from broker_core.model import Message

_PAYLOAD_TAG = Envelope.PAYLOAD_FIELD_NUMBER << 3 | 2  # bytes with their length before them


class UndecodableEnvelope(Exception):
    """These bytes are no envelope; the entry belongs among the dead letters."""


def encode(message: Message) -> bytes:
    """Encode a message that was checked before; the same message may give different bytes (map order)."""
    if message.headers or message.id is not None:
        return Envelope(
            payload=message.payload, headers=message.headers, message_id=message.id
        ).SerializeToString()
    return Envelope(payload=message.payload).SerializeToString()


def decode(data: bytes, customer: str, cost: int) -> Message:
    """Rebuild the message that was published.

    Raises UndecodableEnvelope, never anything else, for bytes that `encode` can't have made.
    """
    payload = _payload_alone(data)
    if payload is not None:
        return message_of(customer, payload, {}, None, cost)
    try:
        envelope = Envelope.FromString(data)
    except DecodeError as error:
        raise UndecodableEnvelope(str(error)) from error
    return message_of(
        customer,
        envelope.payload,
        dict(envelope.headers),
        envelope.message_id if envelope.HasField("message_id") else None,
        cost,
    )


def _payload_alone(data: bytes) -> bytes | None:
    """Return the payload if there is nothing else, as in most envelopes; quicker than the decoder.

    None says nothing: the decoder has to tell.
    """
    size = len(data)
    if size < 3 or data[0] != _PAYLOAD_TAG:
        return None
    low, high = data[1], data[2]
    if low < 128:  # the length is one byte, else two or more
        return data[2:] if low == size - 2 else None
    return data[3:] if high < 128 and (low & 127 | high << 7) == size - 3 else None
