"""A serving process: one event loop, one dispatcher, one server. Started by the supervisor only."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
import sys
from dataclasses import replace

import structlog

from broker_core.errors import DispatcherError
from fair_dispatcher import logs
from fair_dispatcher.http.app import App
from fair_dispatcher.http.health import Health, probed_namespace
from fair_dispatcher.http.server import HttpServer
from fair_dispatcher.http.service import Keys, Service
from fair_dispatcher.http.settings import ServiceSettings
from fair_dispatcher.http.tables import TableFiles, Tables
from fair_dispatcher.keys.file import KeyFile
from fair_dispatcher.keys.watch import FixedKeys, KeyWatch
from fair_dispatcher.runtime import loop_factory
from fair_dispatcher.serve.options import ServeOptions
from fair_dispatcher.work.ending import Ending
from fair_dispatcher.work.life import EXIT_FAILED, connect, dispatcher_of, outcome, tell_failure
from fair_dispatcher.work.lifeline import Lifeline, ignore_signals

# Beside its connections a process has some files of its own.
_FILES_OF_ITS_OWN = 200

_log = structlog.stdlib.get_logger(__name__)


def main() -> None:
    """Serve until SIGTERM, then end gracefully with exit code 0; with 1 for a failure, told or in the log."""
    lifeline = Lifeline(ServeOptions)
    # A terminal or an operator tells the supervisor, which tells us.
    ignore_signals(signal.SIGINT, signal.SIGHUP)
    assignment = lifeline.assignment
    logs.configure(assignment.options.log_format, assignment.options.log_level, process=assignment.number)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(lifeline))
    except DispatcherError as error:
        tell_failure(lifeline, error)
        sys.exit(EXIT_FAILED)
    except Exception:  # noqa: BLE001 - the boundary of the process: what is in the log can be found
        _log.exception("the worker process fails")
        sys.exit(EXIT_FAILED)


async def _serve(lifeline: Lifeline[ServeOptions]) -> None:
    """Connect and serve until SIGTERM, or until the supervisor wants the end at once."""
    options = lifeline.assignment.options
    loop = asyncio.get_running_loop()
    ending = Ending()
    loop.add_signal_handler(signal.SIGTERM, ending.gracefully)
    lifeline.listen(lambda _: loop.call_soon_threadsafe(ending.at_once))
    settings = options.settings()
    keys, following = _keys(settings, options)
    allow_files(settings.max_connections + _FILES_OF_ITS_OWN)
    try:
        dispatcher = await connect(options, ending)
        if dispatcher is None:
            return
        probing = replace(options, namespace=probed_namespace(dispatcher.settings.namespace))
        health = Health(lambda: dispatcher_of(probing))
        tables = Tables(TableFiles(options.idempotency_table, options.rates_table))
        service = Service(dispatcher, settings, keys, health, tables)
        try:
            server = HttpServer(App(service), settings, socket.socket(fileno=options.listener))

            def end() -> None:
                service.end_waits()
                server.stop()

            running = asyncio.ensure_future(server.run(lambda: lifeline.tell("ready")))
            ending.ends(running, end)
            await outcome(running)
        finally:
            await service.close()
            # What clients hold stays theirs: they settle it through another process.
            await dispatcher.close(release=False)
    finally:
        if following is not None:
            following.cancel()


def _keys(settings: ServiceSettings, options: ServeOptions) -> tuple[Keys, asyncio.Task[None] | None]:
    if settings.key_file is None:
        return FixedKeys(bytes.fromhex(options.receipt_secret)), None
    watch = KeyWatch(KeyFile(settings.key_file))
    return watch, asyncio.create_task(watch.run(), name="keys")


def allow_files(count: int) -> None:
    """Let this process have so many files open, if the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main()
