"""Receipts: `<dispatcher>.<token>.<id>:<customer>`, all that is needed to find the owner of a lease."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from broker_core.errors import InvalidArgument

_RECEIPT = re.compile(
    r"r([0-9a-f]{16})\.([0-9a-f]{1,16})-([0-9a-f]{8})\.([0-9]{1,15}-[0-9]{1,18}-[0-9a-f]{10}):(.{1,200})",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a receipt says."""

    receipt: str
    dispatcher: str
    id: str
    customer: str


class Receipts:
    """Makes receipts of one dispatcher: never the same twice, and not to be guessed."""

    def __init__(self, dispatcher: str) -> None:
        self._dispatcher = dispatcher
        self._count = count(1)

    def make(self, message_id: str, customer: str) -> str:
        """Return a fresh receipt."""
        token = f"{next(self._count):x}-{secrets.token_hex(4)}"
        return f"r{self._dispatcher}.{token}.{message_id}:{customer}"


def dispatcher_name() -> str:
    """Return a name for a dispatcher that no other has."""
    return secrets.token_hex(8)


def claims_of(receipts: Sequence[str]) -> list[Claim]:
    """Read receipts; InvalidArgument for one that this adapter can't have made."""
    claims = []
    for receipt in receipts:
        match = _RECEIPT.fullmatch(receipt)
        if match is None:
            raise InvalidArgument(
                "not a receipt of this adapter: pass the deliveries or their receipts unchanged"
            )
        claims.append(Claim(receipt, match[1], match[4], match[5]))
    return claims
