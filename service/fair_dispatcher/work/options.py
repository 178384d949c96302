"""What a run of processes was asked for, and how a process hands it to another."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import ClassVar, Generic, Literal, Self, TypeVar

from fair_dispatcher.logs import LogFormat, LogLevel

SyncMode = Literal["thread", "process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The same for every process of a run. broker, url, namespace: as in open_dispatcher.

    module: what a process runs. grace_seconds: how long it may go on after SIGTERM.
    inherited: files that it takes over from the supervisor, under the same numbers.
    """

    module: ClassVar[str]

    processes: int
    grace_seconds: float = 20.0
    broker: str | None = None
    url: str | None = field(default=None, repr=False)
    namespace: str | None = None
    log_format: LogFormat = "json"
    log_level: LogLevel = "info"

    @property
    def inherited(self) -> tuple[int, ...]:
        """No files, unless a subclass says so."""
        return ()


Options = TypeVar("Options", bound=RunOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOptions(RunOptions):
    """The same for every process of `fairdispatch work`.

    handler: `module:function`. concurrency: handlers at a time in a process; None: what suits their kind.
    sync: where a function that isn't async runs; None: in a thread. blocked_after_seconds: how long the
    event loop may stand still before the log says so; 0: however long.
    """

    module: ClassVar[str] = "fair_dispatcher.work.process"

    handler: str
    concurrency: int | None = None
    sync: SyncMode | None = None
    blocked_after_seconds: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment(Generic[Options]):
    """The first line that a process gets from its parent. number: of the process in its run, from 1."""

    number: int
    parent_pid: int
    options: Options

    def to_line(self) -> bytes:
        """Return it as one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes, options_type: type[Options]) -> Self:
        """Read what to_line wrote."""
        fields = json.loads(line)
        return cls(**{**fields, "options": options_type(**fields["options"])})
