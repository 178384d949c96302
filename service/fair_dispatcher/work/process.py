"""A worker process: one event loop, one dispatcher, one Worker. Started by the supervisor only."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

import structlog

from broker_core import Worker
from broker_core.errors import DispatcherError
from fair_dispatcher import logs
from fair_dispatcher.runtime import loop_factory
from fair_dispatcher.work.ending import Ending
from fair_dispatcher.work.kinds import Kind, prepare
from fair_dispatcher.work.life import EXIT_FAILED, connect, outcome, tell_failure
from fair_dispatcher.work.lifeline import Lifeline, ignore_signals
from fair_dispatcher.work.loop_watch import LoopWatch
from fair_dispatcher.work.options import WorkOptions

_log = structlog.stdlib.get_logger(__name__)


def main() -> None:
    """Work until SIGTERM, then end gracefully with exit code 0; with 1 for a failure, told or in the log."""
    lifeline = Lifeline(WorkOptions)
    # A terminal or an operator tells the supervisor, which tells us.
    ignore_signals(signal.SIGINT, signal.SIGHUP)
    assignment = lifeline.assignment
    logs.configure(assignment.options.log_format, assignment.options.log_level, process=assignment.number)
    try:
        kind, concurrency = prepare(assignment)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_work(lifeline, kind, concurrency))
    except DispatcherError as error:
        tell_failure(lifeline, error)
        sys.exit(EXIT_FAILED)
    except Exception:  # noqa: BLE001 - the boundary of the process: what is in the log can be found
        _log.exception("the worker process fails")
        sys.exit(EXIT_FAILED)
    if kind.busy:
        # Threads can't be cancelled. Their messages were given back; they must not hold us here.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


async def _work(lifeline: Lifeline[WorkOptions], kind: Kind, concurrency: int) -> None:
    """Connect and work until SIGTERM, or until the supervisor wants the end at once."""
    options = lifeline.assignment.options
    loop = asyncio.get_running_loop()
    ending = Ending()
    loop.add_signal_handler(signal.SIGTERM, ending.gracefully)
    lifeline.listen(lambda _: loop.call_soon_threadsafe(ending.at_once))
    dispatcher = await connect(options, ending)
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
            await outcome(running)
    finally:
        await dispatcher.close()
        await kind.close()


if __name__ == "__main__":
    main()
