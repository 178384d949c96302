"""Where handlers run: async ones in the event loop, others in threads or in processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from broker_core.errors import ConfigurationError
from broker_core.worker import Handler
from fair_dispatcher.work.handlers import is_async, load
from fair_dispatcher.work.options import Assignment, WorkOptions
from fair_dispatcher.work.processes import InProcesses
from fair_dispatcher.work.threads import InThreads

_CONCURRENCY = 64
# There are as many worker processes as cores, so one below each is enough.
_CONCURRENCY_OF_PROCESSES = 1


class Kind(Protocol):
    """A way to run the handler."""

    @property
    def handle(self) -> Handler:
        """The handler as an async function."""

    @property
    def busy(self) -> bool:
        """Whether a handler runs that can't be ended; asked last of all."""

    async def close(self) -> None:
        """Free everything, when no handler is awaited any more."""


@dataclass(frozen=True, slots=True)
class InLoop:
    """The handler itself, in the event loop."""

    handle: Handler
    busy: bool = False

    async def close(self) -> None:
        """Do nothing: it holds nothing."""


def prepare(assignment: Assignment[WorkOptions]) -> tuple[Kind, int]:
    """Load the handler; return how it runs, and how many at a time. Raises ConfigurationError."""
    options = assignment.options
    function = load(options.handler)
    concurrency = options.concurrency or _CONCURRENCY
    if is_async(function):
        if options.sync is not None:
            raise ConfigurationError(f"--sync is for handlers that aren't async, but {options.handler} is")
        return InLoop(function), concurrency
    if options.sync == "process":
        return InProcesses(assignment), options.concurrency or _CONCURRENCY_OF_PROCESSES
    return InThreads(function, concurrency), concurrency
