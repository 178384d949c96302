"""`fairdispatch work`."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Annotated

import typer

from fair_dispatcher import logs
from fair_dispatcher.commands.options import Broker, Namespace, Target, Url
from fair_dispatcher.runtime import exit_codes
from fair_dispatcher.usage import examples
from fair_dispatcher.work.options import SyncMode, WorkOptions
from fair_dispatcher.work.supervisor import Supervisor

app = typer.Typer()

# Less would be told of any machine that is busy.
LEAST_BLOCKED_SECONDS = 0.05

EXIT_CODES = {
    0: "ended by SIGTERM or Ctrl-C, and every process ended gracefully",
    1: "a process had to be killed or failed at the end, or the broker refuses us",
    2: "an option or a setting is wrong, or the handler can't be imported",
    130: "ended at once by a second Ctrl-C (143: by a second SIGTERM)",
}


@app.command(
    epilog=examples(
        ("call `async def handle(delivery)` of handlers.py", "fairdispatch work --handler handlers:handle"),
        ("a function that computes for long", "fairdispatch work --handler handlers:render --sync process"),
        ("new code, without a gap", "kill -HUP PID"),
    )
    + "\n\n\b\nExit codes:\n"
    + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())
)
def work(
    handler: Annotated[
        str, typer.Option(metavar="MODULE:FUNCTION", help="What is called for each delivery.")
    ],
    processes: Annotated[
        int | None, typer.Option(min=1, max=1024, metavar="N", help="Worker processes; else one a core.")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            metavar="N",
            help="Handlers at a time in each process; else 64, and 1 with --sync process.",
        ),
    ] = None,
    grace_seconds: Annotated[
        float, typer.Option(min=0, max=86400, help="How long handlers may go on after SIGTERM.")
    ] = 20.0,
    sync: Annotated[
        SyncMode | None,
        typer.Option(help="Where a function runs that isn't async; else in a thread."),
    ] = None,
    blocked_after: Annotated[
        float,
        typer.Option(
            min=0,
            max=3600,
            help="Seconds, from 0.05, for which the event loop may stand still unsaid; 0: for ever.",
        ),
    ] = 0.5,
    log_format: Annotated[
        logs.LogFormat | None,
        typer.Option(help="Of the log; else console on a terminal, json elsewhere."),
    ] = None,
    log_level: Annotated[logs.LogLevel, typer.Option(help="The least that is logged.")] = "info",
    broker: Broker = None,
    url: Url = None,
    namespace: Namespace = None,
) -> None:
    """Run a handler over deliveries in several processes, until SIGTERM or Ctrl-C.

    A handler that returns acks its message; the README tells what raising Retry, Reject or anything else
    means. A process that dies is replaced. SIGHUP renews the processes one by one, with the code as it is
    then.
    The log goes to the standard error.
    """
    with exit_codes():
        if 0 < blocked_after < LEAST_BLOCKED_SECONDS:
            raise typer.BadParameter(f"0, or at least {LEAST_BLOCKED_SECONDS}", param_hint="--blocked-after")
        Target(broker, url, namespace).shared_dispatcher()  # connects to nothing, but refuses wrong settings
        options = WorkOptions(
            handler=handler,
            processes=processes or _cores(),
            concurrency=concurrency,
            grace_seconds=grace_seconds,
            sync=sync,
            blocked_after_seconds=blocked_after,
            broker=broker,
            url=url,
            namespace=namespace,
            log_format=log_format or logs.suitable_format(sys.stderr),
            log_level=log_level,
        )
        logs.configure(options.log_format, options.log_level)
        code = asyncio.run(Supervisor(options).run())
    raise typer.Exit(code)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
