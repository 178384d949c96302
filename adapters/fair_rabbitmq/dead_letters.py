"""Dead letters: payloads in a stream of their own, what is dead and since when in the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from broker_core.model import DeadLetter, Page
from fair_rabbitmq.delays import Republish
from fair_rabbitmq.journal.channels import Channels
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.parcel import Parcel


@dataclass(frozen=True, slots=True)
class Burial:
    """A message that dies: with how many attempts, why, and when (milliseconds since 1970)."""

    parcel: Parcel
    attempts: int
    reason: str
    died_at: int


ToLetter = Callable[[Burial], DeadLetter]
"""Decodes for people; for a body that can't be decoded the payload is the body."""


class DeadLetters:
    """Buries, lists, redrives and removes dead letters; drops those that are older than the retention."""

    def __init__(
        self,
        channels: Channels,
        journal: Journal,
        stream: str,
        republish: Republish,
        to_letter: ToLetter,
        *,
        retention_seconds: float,
        timeout_seconds: float = 5.0,
    ) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        """Declare what is needed. Raises BrokerUnavailable."""

    async def close(self) -> None:
        """End all tasks. Idempotent, quick."""

    async def bury(self, burials: Sequence[Burial]) -> None:
        """Store the payloads, then count the messages as dead; the caller acks the originals afterwards.

        Writes Died. After an error (BrokerUnavailable) the caller keeps the originals and may call again.
        """

    async def page(self, customer: str | None, limit: int, cursor: str | None) -> Page[DeadLetter]:
        """List dead letters as the seam says."""
        raise NotImplementedError

    async def end(self, customer: str, ids: Sequence[str] | None, *, redrive: bool) -> int:
        """Redrive or remove dead letters as the seam says."""
        raise NotImplementedError
