"""Ends and renews leases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from broker_core.adapter import Settlement
from fair_kafka.ledger.commands import Extend, Settle
from fair_kafka.ledger.outcomes import Extended, Settled
from fair_kafka.ledger.receipts import held_of
from fair_kafka.session import Session


class Settler:
    """Each call is one command: it takes effect once, or it is told that it may have."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def settle(self, receipts: Sequence[str], settlement: Settlement) -> list[str]:
        """Return the receipts whose lease was lost."""
        held = held_of(receipts)
        verb, delay_ms = settlement.verb, round(settlement.delay_seconds * 1000)
        outcome = await self._session.run(
            lambda s, n: Settle(s, n, verb, held, delay_ms, settlement.reason), Settled
        )
        return list(outcome.lost)

    async def extend(self, receipts: Sequence[str], seconds: float) -> list[datetime | None]:
        """Return the new end of each lease, None where it was lost."""
        held, lease_ms = held_of(receipts), max(1, round(seconds * 1000))
        outcome = await self._session.run(lambda s, n: Extend(s, n, held, lease_ms), Extended)
        lost = set(outcome.lost)
        end = datetime.fromtimestamp(outcome.lease_until_ms / 1000, UTC)
        return [None if receipt in lost else end for receipt in receipts]
