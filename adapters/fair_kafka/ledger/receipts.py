"""Texts that name messages: ids `<ledger offset>-<index>` and receipts `kafka.<session>.<sequence>.<id>`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from broker_core.errors import InvalidArgument
from fair_kafka.ledger.commands import Held

INDEX_BITS = 24
INDEX_MASK = (1 << INDEX_BITS) - 1

_RECEIPT_PREFIX = re.compile(r"kafka\.([0-9a-f]{16})\.([0-9]{1,18})", re.ASCII)
_ID = re.compile(r"([0-9]{1,11})-([0-9]{1,8})", re.ASCII)


def id_of(serial: int) -> str:
    """Return the id of a message: unique in its namespace for ever, rising as messages are published."""
    return f"{serial >> INDEX_BITS}-{serial & INDEX_MASK}"


def serial_of(id: str) -> int | None:  # noqa: A002 - the word of the interface
    """Return the serial of an id, None for a text that is no id of a ledger."""
    match = _ID.fullmatch(id)
    return None if match is None else _serial(match[1], match[2])


def receipt_prefix(session: int, sequence: int) -> str:
    """Return how the receipts of a Receive begin; the message's id follows."""
    return f"kafka.{session:016x}.{sequence}."


def receipt_of(session: int, sequence: int, serial: int) -> str:
    """Return the receipt of a message that this Receive handed over."""
    return receipt_prefix(session, sequence) + id_of(serial)


def held_of(receipts: Iterable[str]) -> tuple[Held, ...]:
    """Group receipts by the Receive that made them, in their order.

    Raises InvalidArgument for a text that isn't a receipt.
    """
    groups: dict[str, list[int]] = {}
    fullmatch = _ID.fullmatch
    for receipt in receipts:
        prefix, _, message_id = receipt.rpartition(".")
        match = fullmatch(message_id)
        if match is None or (index := int(match[2])) > INDEX_MASK:
            raise _no_receipt()
        serial = int(match[1]) << INDEX_BITS | index
        serials = groups.get(prefix)
        if serials is None:
            serials = groups[prefix] = []
        serials.append(serial)
    return tuple(_held(prefix, serials) for prefix, serials in groups.items())


def _held(prefix: str, serials: list[int]) -> Held:
    match = _RECEIPT_PREFIX.fullmatch(prefix)
    if match is None:
        raise _no_receipt()
    return Held(int(match[1], 16), int(match[2]), tuple(serials))


def _no_receipt() -> InvalidArgument:
    return InvalidArgument(
        "not a receipt of a namespace in Kafka: pass the deliveries or their receipts unchanged"
    )


def _serial(offset: str, index: str) -> int | None:
    number = int(index)
    return None if number > INDEX_MASK else int(offset) << INDEX_BITS | number
