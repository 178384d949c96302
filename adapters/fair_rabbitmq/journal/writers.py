"""Who writes into the journal, and which of their records were taken in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fair_rabbitmq.journal.events import Record

_REMEMBERED_MS = 3_600_000  # far longer than a record can be under way


@dataclass(frozen=True, slots=True)
class Writer:
    """A dispatcher: its last record, when that was written, whether it is thought to be gone."""

    name: str
    number: int
    heard_at: int
    gone: bool = False


class Writers:
    """Takes each record of a dispatcher once; forgets those that are gone for an hour."""

    def __init__(self) -> None:
        self._writers: dict[str, Writer] = {}

    def __iter__(self) -> Iterator[Writer]:
        return iter(self._writers.values())

    def live(self) -> list[str]:
        """Tell the dispatchers that aren't gone."""
        return [writer.name for writer in self if not writer.gone]

    def is_live(self, name: str) -> bool:
        """Tell whether a dispatcher has written and isn't gone."""
        writer = self._writers.get(name)
        return writer is not None and not writer.gone

    def last_number(self, name: str) -> int:
        """Tell the number of a dispatcher's last record, 0 if there is none."""
        writer = self._writers.get(name)
        return 0 if writer is None else writer.number

    def restore(self, writer: Writer) -> None:
        """Put a dispatcher in as it was."""
        self._writers[writer.name] = writer

    def accept(self, record: Record) -> bool:
        """Note a record; False for one that was there before."""
        if record.number <= self.last_number(record.dispatcher):
            return False
        if record.dispatcher not in self._writers:
            self._forget_old(record.written_at)
        self._writers[record.dispatcher] = Writer(record.dispatcher, record.number, record.written_at)
        return True

    def lose(self, name: str) -> None:
        """Note that a dispatcher is gone."""
        writer = self._writers.get(name)
        if writer is not None:
            self._writers[name] = replace(writer, gone=True)

    def _forget_old(self, now: int) -> None:
        for writer in list(self):
            if writer.gone and writer.heard_at < now - _REMEMBERED_MS:
                del self._writers[writer.name]
