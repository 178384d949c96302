"""What a run of `fairdispatch work` was asked for, and how a process hands it to another."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Literal, Self

from fair_dispatcher.logs import LogFormat, LogLevel

SyncMode = Literal["thread", "process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOptions:
    """The same for every process of a run.

    handler: `module:function`. concurrency: handlers at a time in a process; None: what suits their kind.
    sync: where a function that isn't async runs; None: in a thread. blocked_after_seconds: how long the
    event loop may stand still before the log says so; 0: however long.
    broker, url, namespace: as in open_dispatcher.
    """

    handler: str
    processes: int
    concurrency: int | None = None
    grace_seconds: float = 20.0
    sync: SyncMode | None = None
    blocked_after_seconds: float = 0.5
    broker: str | None = None
    url: str | None = field(default=None, repr=False)
    namespace: str | None = None
    log_format: LogFormat = "json"
    log_level: LogLevel = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The first line that a process gets from its parent. number: of the process in its run, from 1."""

    number: int
    parent_pid: int
    options: WorkOptions

    def to_line(self) -> bytes:
        """Return it as one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read what to_line wrote."""
        fields = json.loads(line)
        return cls(**{**fields, "options": WorkOptions(**fields["options"])})
