"""What every process of a run does alike: it connects, waits, and tells how it failed."""

from __future__ import annotations

import asyncio
import logging
from typing import TypeVar

import structlog

from broker_core import FairDispatcher, open_dispatcher
from broker_core.errors import ConfigurationError, DispatcherError
from broker_core.outage import Outage
from fair_dispatcher.work.ending import Ending
from fair_dispatcher.work.lifeline import Lifeline
from fair_dispatcher.work.options import Options, RunOptions

T = TypeVar("T")

EXIT_FAILED = 1

_MOST_REASON_CHARACTERS = 2000

_log = structlog.stdlib.get_logger(__name__)


def tell_failure(lifeline: Lifeline[Options], error: DispatcherError) -> None:
    """Tell the supervisor why there is no use in starting this process again, or log why it fails."""
    if error.retryable:
        _log.error("the worker process fails", exc_info=error)
    else:
        event = "misconfigured" if isinstance(error, ConfigurationError) else "hopeless"
        lifeline.tell(event, reason=str(error)[:_MOST_REASON_CHARACTERS])


async def connect(options: RunOptions, ending: Ending) -> FairDispatcher | None:
    """Open a dispatcher, however long the broker stays away; None if the end is wanted first."""

    async def connect() -> FairDispatcher:
        return await dispatcher_of(options).open()

    opening = asyncio.ensure_future(Outage(logging.getLogger(__name__)).outlast(connect))
    ending.ends(opening, opening.cancel)
    return await outcome(opening)


def dispatcher_of(options: RunOptions) -> FairDispatcher:
    """Make a dispatcher of the run's namespace."""
    settings = {} if options.namespace is None else {"namespace": options.namespace}
    return open_dispatcher(options.broker, options.url, **settings)


async def outcome(task: asyncio.Future[T]) -> T | None:
    """Wait for the task and return its result, None if it was cancelled."""
    await asyncio.wait({task})
    return None if task.cancelled() else task.result()
