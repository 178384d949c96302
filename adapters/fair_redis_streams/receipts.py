"""Receipts: `<shard>.<token>.<id>:<customer>`, all that is needed to settle a delivery."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from broker_core.errors import InvalidArgument

_RECEIPT = re.compile(r"([0-9]{1,4})\.([A-Za-z0-9_-]{8,40})\.([0-9]{1,20}-[0-9]{1,20}:.{1,200})", re.DOTALL)


class Tokens:
    """Makes the token of each receive: never the same twice, and not to be guessed."""

    def __init__(self) -> None:
        self._prefix = secrets.token_urlsafe(12)
        self._count = count()

    def next(self) -> str:
        """Return a fresh token."""
        return f"{self._prefix}-{next(self._count):x}"


@dataclass(slots=True)
class Held:
    """The receipts of one shard, with token and ref of each, in the order in which they came."""

    receipts: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)


def by_shard(receipts: Sequence[str], shards: int) -> dict[int, Held]:
    """Group receipts by shard; raise InvalidArgument for one that this adapter can't have made."""
    groups: dict[int, Held] = {}
    for receipt in receipts:
        match = _RECEIPT.fullmatch(receipt)
        shard = int(match[1]) if match else shards
        if match is None or shard >= shards:
            raise InvalidArgument(
                "not a receipt of this namespace: pass the deliveries or their receipts unchanged"
            )
        held = groups.get(shard)
        if held is None:
            held = groups[shard] = Held()
        held.receipts.append(receipt)
        held.tokens.append(match[2])
        held.refs.append(match[3])
    return groups
