"""This dispatcher's copy of the namespace's state: the ledger, applied in order up to a position."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from fair_kafka.clock import LedgerClock
from fair_kafka.ledger.commands import Command
from fair_kafka.ledger.outcomes import Answer
from fair_kafka.ledger.state import Ledger
from fair_kafka.partitions import Stored


class Replica:
    """Applies records of the ledger, each once, in the order of their offsets.

    position: the offset of the next one. unsaved: records and bytes since the last snapshot seen here.
    answered: is told what the ledger answers to anybody's commands.
    changed: is called after each application.
    """

    def __init__(
        self, answered: Callable[[Answer], None], changed: Callable[[], None], clock: LedgerClock
    ) -> None:
        self.ledger = Ledger(listener=0)
        self.position = 0
        self.unsaved = (0, 0)
        self._answered = answered
        self._changed = changed
        self._clock = clock

    def listen(self, session: int) -> None:
        """Tell the answers to this session's commands from now on."""
        self.ledger.listener = session

    def restore(self, ledger: Ledger, position: int) -> None:
        """Go on from another state."""
        ledger.listener = self.ledger.listener
        self.ledger = ledger
        self.position = position
        self.unsaved = (0, 0)
        self._changed()

    def since_snapshot(self, records: int, size_bytes: int) -> None:
        """Note how much was applied since the last snapshot."""
        self.unsaved = (records, size_bytes)

    def appended(self, stored: Stored, commands: Sequence[Command], size_bytes: int) -> bool:
        """Apply what was just appended by this dispatcher; False if something of others is before it."""
        self._clock.note(stored.timestamp_ms)
        if stored.first_offset == self.position:
            self._answer(self.ledger.apply(stored.first_offset, stored.timestamp_ms, commands))
            self._moved(stored.first_offset, size_bytes)
            self._changed()
        return stored.first_offset < self.position

    def apply(self, offset: int, timestamp_ms: int, value: bytes | None) -> None:
        """Apply a record unless it was applied; `applied` has to be called some time after it."""
        if offset >= self.position:
            self._answer(self.ledger.apply_record(offset, timestamp_ms, value))
            self._moved(offset, len(value or b""))

    def _moved(self, offset: int, size_bytes: int) -> None:
        self.position = offset + 1
        records, total_bytes = self.unsaved
        self.unsaved = (records + 1, total_bytes + size_bytes)

    def applied(self) -> None:
        """Say that some records were applied."""
        self._changed()

    def _answer(self, answers: Iterable[Answer]) -> None:
        for answer in answers:
            self._answered(answer)
