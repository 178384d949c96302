"""Encodes the part of a message that no broker needs to read: payload, headers and the producer's key."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from broker_core.envelope_pb2 import Envelope
from broker_core.model import Message


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
    try:
        envelope = Envelope.FromString(data)
    except DecodeError as error:
        raise UndecodableEnvelope(str(error)) from error
    return Message(
        customer,
        envelope.payload,
        dict(envelope.headers),
        envelope.message_id if envelope.HasField("message_id") else None,
        cost,
    )
