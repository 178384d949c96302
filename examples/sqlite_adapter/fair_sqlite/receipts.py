"""Receipts: `sqlite.<id>.<token>`, all that is needed to settle a delivery."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from broker_core.errors import InvalidArgument

_RECEIPT = re.compile(r"sqlite\.([0-9]{1,18})\.([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt and what it says: the message, and the receive that took it."""

    text: str
    id: int
    token: str


def new_token() -> str:
    """Return a token that no other receive has, of whatever process or namespace."""
    return secrets.token_hex(16)


def make_receipt(message_id: int, token: str) -> str:
    """Return the receipt of one hand-over."""
    return f"sqlite.{message_id}.{token}"


def read_receipt(receipt: str) -> Receipt:
    """Return what a receipt says; raise InvalidArgument for a text that isn't one."""
    match = _RECEIPT.fullmatch(receipt)
    if match is None:
        raise InvalidArgument(
            "not a receipt of an SQLite file: pass the deliveries or their receipts unchanged"
        )
    return Receipt(receipt, int(match[1]), match[2])
