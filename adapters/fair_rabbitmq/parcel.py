"""A message as it travels through the broker while it isn't in its customer's queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from fair_rabbitmq.journal.journal_pb2 import Parcel as EncodedParcel


@dataclass(frozen=True, slots=True)
class Parcel:
    """All that is needed to put a message into its customer's queue again, and nothing of its state.

    body: as it was found in the queue, whether it can be decoded or not. headers: what the adapter keeps
    beside the body (cost, time of publishing and the like), returned unchanged.
    """

    id: str
    customer: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str | int] = field(default_factory=dict, repr=False)


class UndecodableParcel(Exception):
    """These bytes are no parcel."""


def encode_parcel(parcel: Parcel) -> EncodedParcel:
    """Encode a parcel, as a part of something or alone."""
    return EncodedParcel(
        id=parcel.id,
        customer=parcel.customer,
        body=parcel.body,
        texts={name: value for name, value in parcel.headers.items() if isinstance(value, str)},
        numbers={name: value for name, value in parcel.headers.items() if isinstance(value, int)},
    )


def decode_parcel(encoded: EncodedParcel) -> Parcel:
    """Rebuild a parcel."""
    headers: dict[str, str | int] = {**encoded.texts, **encoded.numbers}
    return Parcel(encoded.id, encoded.customer, encoded.body, headers)


def parcel_to_bytes(parcel: Parcel) -> bytes:
    """Encode a parcel that travels alone."""
    return encode_parcel(parcel).SerializeToString()


def parcel_from_bytes(data: bytes) -> Parcel:
    """Rebuild a parcel; raises UndecodableParcel, never anything else, for what can't be one."""
    try:
        return decode_parcel(EncodedParcel.FromString(data))
    except DecodeError as error:
        raise UndecodableParcel(str(error)) from error
