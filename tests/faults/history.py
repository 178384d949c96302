"""What happened in a run: when each call was made, and how it ended, for every message of it.

The clock is the machine's monotonic one, so that the events of several processes can be merged.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

VERBS = ("publish", "receive", "ack", "nack", "release", "dead_letter", "extend")


class Kind(StrEnum):
    """INVOKE begins a call. OK: it took effect. FAIL: it did not. UNKNOWN: it may have, or will yet."""

    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Item:
    """One message of a call. key: the producer's, unique in the run. id: the broker's, "" if not known.

    For a delivery also: attempt, receipt, the end of the lease by the broker's clock (seconds since 1970),
    and whether customer, payload and headers are those that belong to the key.
    """

    key: str
    id: str = ""
    attempt: int = 0
    receipt: str = ""
    lease_until: float = 0.0
    intact: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    """A step of a call. An invoke and its ends share `call`; a call may end differently for each message."""

    at: float
    actor: str
    call: str
    verb: str
    kind: Kind
    items: tuple[Item, ...] = ()
    note: str = ""


class History:
    """Events in the order in which they were recorded; those of a file are out of the process at once.

    path: a file to append to, so that what a process told survives its being killed.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.events: list[Event] = []
        self._calls = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if path is not None else None

    def invoke(self, actor: str, verb: str, items: Iterable[Item] = (), note: str = "") -> str:
        """Record that a call begins; return its name for `end`."""
        self._calls += 1
        call = f"{actor}#{os.getpid()}.{self._calls}"
        self._add(Event(time.monotonic(), actor, call, verb, Kind.INVOKE, tuple(items), note))
        return call

    def end(
        self, call: str, actor: str, verb: str, kind: Kind, items: Iterable[Item] = (), note: str = ""
    ) -> None:
        """Record how the call ended for these messages."""
        self._add(Event(time.monotonic(), actor, call, verb, kind, tuple(items), note))

    def _add(self, event: Event) -> None:
        if self._file is None:
            self.events.append(event)
        else:
            os.write(self._file, (json.dumps(asdict(event), separators=(",", ":")) + "\n").encode())


def read_history(path: Path) -> list[Event]:
    """Return what processes have written; a last line that was cut off with its process is left out."""
    events = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        fields = json.loads(line)
        fields["kind"] = Kind(fields["kind"])
        fields["items"] = tuple(Item(**item) for item in fields["items"])
        events.append(Event(**fields))
    return events


def read_histories(folder: Path) -> list[list[Event]]:
    """Return what each process has written into the folder."""
    return [read_history(path) for path in sorted(folder.glob("*.history"))]


def merge(*histories: Sequence[Event]) -> list[Event]:
    """Return all events in the order of time."""
    return sorted((event for history in histories for event in history), key=lambda event: event.at)
