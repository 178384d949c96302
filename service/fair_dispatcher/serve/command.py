"""`fairdispatch serve`."""

from __future__ import annotations

import asyncio
import secrets
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from fair_dispatcher import logs
from fair_dispatcher.commands.options import Broker, Namespace, Target, Url
from fair_dispatcher.http.settings import ServiceSettings
from fair_dispatcher.runtime import exit_codes, needs_extra
from fair_dispatcher.serve.listening import address_of, listen
from fair_dispatcher.serve.options import ServeOptions
from fair_dispatcher.usage import examples
from fair_dispatcher.work.supervisor import Supervisor

if TYPE_CHECKING:
    from fair_dispatcher.http.tables import TableFiles

app = typer.Typer()

EXIT_CODES = {
    0: "ended by SIGTERM or Ctrl-C, and every process ended gracefully",
    1: "a process had to be killed or failed at the end, or the broker refuses us",
    2: "an option or a setting is wrong, the address is taken, or there are no keys",
    130: "ended at once by a second Ctrl-C (143: by a second SIGTERM)",
}

_log = structlog.stdlib.get_logger(__name__)


@app.command(
    epilog=examples(
        (
            "with the keys of `fairdispatch keys create`",
            "fairdispatch serve --key-file keys.json --processes 2",
        ),
        ("try it out, for everybody on this machine", "fairdispatch serve --allow-anonymous"),
    )
    + "\n\n\b\nExit codes:\n"
    + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())
)
def serve(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where to listen; else 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, metavar="N", help="Else 8080; 0: any that is free.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, max=1024, metavar="N", help="Serving processes.")] = 1,
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The keys; else FAIRDISPATCH_SERVICE_KEY_FILE.")
    ] = None,
    allow_anonymous: Annotated[
        bool, typer.Option("--allow-anonymous", help="Let everybody in, on a loopback address only.")
    ] = False,
    log_format: Annotated[
        logs.LogFormat | None,
        typer.Option(help="Of the log; else console on a terminal, json elsewhere."),
    ] = None,
    log_level: Annotated[logs.LogLevel, typer.Option(help="The least that is logged.")] = "info",
    broker: Broker = None,
    url: Url = None,
    namespace: Namespace = None,
) -> None:
    """Serve the dispatcher over HTTP, until SIGTERM or Ctrl-C.

    docs/http.md tells what is served, docs/security.md about keys, limits and TLS. Further settings are
    variables FAIRDISPATCH_SERVICE_…. A process that dies is replaced. SIGHUP renews the processes one by
    one. The log goes to the standard error.
    """
    with exit_codes():
        given: dict[str, str | int | bool | None] = {
            "host": host,
            "port": port,
            "key_file": None if key_file is None else str(key_file.absolute()),
            "allow_anonymous": allow_anonymous or None,
        }
        arguments = {name: value for name, value in given.items() if value is not None}
        settings = ServiceSettings.load(**arguments)
        _check(settings)
        Target(broker, url, namespace).dispatcher()  # connects to nothing, but refuses wrong settings
        with listen(settings.host, settings.port) as listener, closing(_tables(settings)) as tables:
            options = ServeOptions(
                processes=processes,
                grace_seconds=settings.grace_seconds,
                broker=broker,
                url=url,
                namespace=namespace,
                log_format=log_format or logs.suitable_format(sys.stderr),
                log_level=log_level,
                listener=listener.fileno(),
                idempotency_table=tables.idempotency,
                rates_table=tables.rates,
                arguments=arguments,
                receipt_secret=secrets.token_hex(32),
            )
            logs.configure(options.log_format, options.log_level)
            _log.info(
                "listening",
                url=address_of(listener, tls=settings.tls_certfile is not None),
                keys=settings.key_file is not None,
            )
            code = asyncio.run(Supervisor(options).run())
    raise typer.Exit(code)


def _tables(settings: ServiceSettings) -> TableFiles:
    from fair_dispatcher.http.tables import TableFiles

    return TableFiles.make(settings)


def _check(settings: ServiceSettings) -> None:
    with needs_extra("http"):
        from fair_dispatcher.http.server import tls_context
        from fair_dispatcher.keys.file import KeyFile
    tls_context(settings)
    if settings.key_file is not None:
        KeyFile(settings.key_file).load()
