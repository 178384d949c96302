"""A worker process: one event loop, one dispatcher, one Worker. Started by the supervisor only."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import TypeVar

import structlog

from broker_core import FairDispatcher, Worker, open_dispatcher
from broker_core.errors import ConfigurationError, DispatcherError
from broker_core.outage import Outage
from fair_dispatcher import logs
from fair_dispatcher.work.ending import Ending
from fair_dispatcher.work.kinds import Kind, prepare
from fair_dispatcher.work.lifeline import Lifeline, ignore_signals
from fair_dispatcher.work.loop_watch import LoopWatch
from fair_dispatcher.work.options import WorkOptions

T = TypeVar("T")

EXIT_FAILED = 1

_MOST_REASON_CHARACTERS = 2000

_log = structlog.stdlib.get_logger(__name__)


def main() -> None:
    """Work until SIGTERM, then end gracefully with exit code 0; with 1 for a failure, told or in the log."""
    lifeline = Lifeline()
    # A terminal or an operator tells the supervisor, which tells us.
    ignore_signals(signal.SIGINT, signal.SIGHUP)
    assignment = lifeline.assignment
    logs.configure(assignment.options.log_format, assignment.options.log_level, process=assignment.number)
    try:
        kind, concurrency = prepare(assignment)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_work(lifeline, kind, concurrency))
    except DispatcherError as error:
        _tell(lifeline, error)
        sys.exit(EXIT_FAILED)
    except Exception:  # noqa: BLE001 - the boundary of the process: what is in the log can be found
        _log.exception("the worker process fails")
        sys.exit(EXIT_FAILED)
    if kind.busy:
        # Threads can't be cancelled. Their messages were given back; they must not hold us here.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


def _tell(lifeline: Lifeline, error: DispatcherError) -> None:
    if error.retryable:
        _log.error("the worker process fails", exc_info=error)
    else:
        event = "misconfigured" if isinstance(error, ConfigurationError) else "hopeless"
        lifeline.tell(event, reason=str(error)[:_MOST_REASON_CHARACTERS])


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


async def _work(lifeline: Lifeline, kind: Kind, concurrency: int) -> None:
    """Connect and work until SIGTERM, or until the supervisor wants the end at once."""
    options = lifeline.assignment.options
    loop = asyncio.get_running_loop()
    ending = Ending()
    loop.add_signal_handler(signal.SIGTERM, ending.gracefully)
    lifeline.listen(lambda _: loop.call_soon_threadsafe(ending.at_once))
    dispatcher = await _open(options, ending)
    if dispatcher is None:
        return
    try:
        with LoopWatch(options.blocked_after_seconds) as watch:
            worker = Worker(
                dispatcher,
                watch.watched(kind.handle),
                concurrency=concurrency,
                grace_seconds=options.grace_seconds,
            )
            running = asyncio.ensure_future(worker.run())
            ending.ends(running, worker.stop)
            lifeline.tell("ready")
            await _outcome(running)
    finally:
        await dispatcher.close()
        await kind.close()


async def _open(options: WorkOptions, ending: Ending) -> FairDispatcher | None:
    """Connect, however long the broker stays away; None if the end is wanted first."""
    settings = {} if options.namespace is None else {"namespace": options.namespace}

    async def connect() -> FairDispatcher:
        return await open_dispatcher(options.broker, options.url, **settings).open()

    opening = asyncio.ensure_future(Outage(logging.getLogger(__name__)).outlast(connect))
    ending.ends(opening, opening.cancel)
    return await _outcome(opening)


async def _outcome(task: asyncio.Future[T]) -> T | None:
    """Wait for the task and return its result, None if it was cancelled."""
    await asyncio.wait({task})
    return None if task.cancelled() else task.result()


if __name__ == "__main__":
    main()
