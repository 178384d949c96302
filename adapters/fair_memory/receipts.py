"""Receipts: `memory.<token>.<id>:<customer>`, all that is needed to settle a delivery."""

from __future__ import annotations

import re
import secrets
from itertools import count

from broker_core.errors import InvalidArgument

_RECEIPT = re.compile(r"memory\.[0-9a-f]{1,40}\.([0-9]{1,20}-[0-9]{1,20}-0):(.{1,200})", re.DOTALL)
_process = secrets.token_hex(8)
_tokens = count(1)


def make_receipt(id: str, customer: str) -> str:  # noqa: A002 - the word of the interface
    """Return a receipt with a token that no other hand-over has."""
    return f"memory.{_process}{next(_tokens):x}.{id}:{customer}"


def read_receipt(receipt: str) -> tuple[str, str]:
    """Return id and customer; raise InvalidArgument for a text that isn't a receipt."""
    match = _RECEIPT.fullmatch(receipt)
    if match is None:
        raise InvalidArgument(
            "not a receipt of a memory broker: pass the deliveries or their receipts unchanged"
        )
    return match[1], match[2]
