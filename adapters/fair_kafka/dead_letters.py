"""Lists, redrives and removes dead letters."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime

from broker_core import envelope
from broker_core.model import DeadLetter, Message, Page
from fair_kafka.fetching import Fetcher
from fair_kafka.ledger.commands import EndDeadLetters
from fair_kafka.ledger.listing import DeadEntry
from fair_kafka.ledger.outcomes import Counted
from fair_kafka.ledger.receipts import serial_of
from fair_kafka.replica import Replica
from fair_kafka.session import Session


class DeadLetters:
    """The dead letters of the namespace. Those whose record is gone are listed without payload."""

    def __init__(self, session: Session, replica: Replica, fetcher: Fetcher) -> None:
        self._session = session
        self._replica = replica
        self._fetcher = fetcher

    async def page(self, customer: str | None, limit: int, cursor: str | None) -> Page[DeadLetter]:
        """List dead letters, the oldest death first."""
        await self._session.pass_time()
        page = self._replica.ledger.dead_letters_page(customer, limit, cursor)
        payloads = await self._fetcher.fetch(entry.ref for entry in page)
        letters = [_dead_letter(entry, payloads.found.get(entry.ref, b"")) for entry in page]
        return Page(letters, page.cursor)

    async def end(self, customer: str, ids: Sequence[str] | None, *, redrive: bool) -> int:
        """Redrive or remove the chosen ones, or all that are dead when it begins; return how many."""
        serials: tuple[int, ...] | None = None
        if ids is not None:
            serials = tuple(serial for serial in map(serial_of, ids) if serial is not None)
        outcome = await self._session.run(
            lambda s, n: EndDeadLetters(s, n, customer, serials, redrive), Counted
        )
        return outcome.count


def _dead_letter(entry: DeadEntry, payload: bytes) -> DeadLetter:
    message = Message(entry.customer, payload, cost=entry.cost)
    # One that can't be decoded is shown as it was found.
    with contextlib.suppress(envelope.UndecodableEnvelope):
        message = envelope.decode(payload, entry.customer, entry.cost)
    return DeadLetter(
        entry.id,
        message,
        entry.attempts,
        entry.reason,
        datetime.fromtimestamp(entry.published_ms / 1000, UTC),
        datetime.fromtimestamp(entry.died_ms / 1000, UTC),
    )
