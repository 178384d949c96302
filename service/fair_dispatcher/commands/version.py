"""`fairdispatch version`."""

from __future__ import annotations

import platform
from importlib.metadata import version as version_of

import typer

from broker_core.installed import adapter_names
from fair_dispatcher.commands.options import AsJson
from fair_dispatcher.commands.output import print_json
from fair_dispatcher.usage import examples

app = typer.Typer()


@app.command(
    epilog=examples(
        ("the version", "fairdispatch version"),
        ("the adapters that are installed", "fairdispatch version --json"),
    )
)
def version(as_json: AsJson = False) -> None:
    """Print the version.

    --json prints: version, adapters (the installed ones, for --broker), python.
    """
    number = version_of("fair-dispatcher")
    if as_json:
        print_json({"version": number, "adapters": adapter_names(), "python": platform.python_version()})
    else:
        typer.echo(number)
