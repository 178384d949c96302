"""`fairdispatch demo`."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from broker_core.errors import ConfigurationError
from fair_dispatcher.demo import picture as pictures
from fair_dispatcher.demo.command import make_traffic, run_demo
from fair_dispatcher.demo.consumers import Access
from fair_dispatcher.demo.scenario import Plan
from fair_dispatcher.runtime import EXIT_FAILED, exit_codes, run
from fair_dispatcher.usage import examples

app = typer.Typer()

# What the demo takes when nothing is configured: a real server that needs no installation.
_BROKER = "redis"
_URL_VARIABLE = "REDIS_URL"
_URL = "embedded:"
# Of such folders the adapter removes those whose users were all killed.
_FOLDER_PREFIX = "fairdispatch-embedded-demo-"
_REMOVE_SECONDS = 10.0


@app.command(
    epilog=examples(
        ("see it work", "fairdispatch demo"),
        ("on your server", "fairdispatch demo --url redis://127.0.0.1:6379/0"),
        ("a picture of it", "fairdispatch demo --picture ."),
    )
)
def demo(
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help=f"Where the broker is; else {_URL_VARIABLE}, else a server of its own."
        ),
    ] = None,
    broker: Annotated[
        str, typer.Option(envvar="BROKER", metavar="NAME", help="Which adapter to use.")
    ] = _BROKER,
    consumers: Annotated[
        int, typer.Option(min=1, max=100, help="Consumers, eight handlers each.")
    ] = Plan().consumers,
    messages: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Messages of the quiet customers together.")
    ] = Plan().messages,
    burst: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Messages that one customer sends at once.")
    ] = Plan().burst,
    seed: Annotated[int, typer.Option(help="Of the traffic.")] = Plan().seed,
    traffic: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, readable=True, metavar="FILE", help="NDJSON to replay instead."
        ),
    ] = None,
    namespace: Annotated[
        str, typer.Option(metavar="NAME", help="Demos that run at once on one server need different ones.")
    ] = "demo",
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help=f"Draw the waiting times there, as {pictures.NAME}.png and .svg."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Let one customer flood a few consumers that many share, fairly and through one FIFO stream.

    Takes about 40 seconds. Each consumer is a process. The messages are removed again.
    Exit code 1 if one was lost or came twice.
    """
    plan = Plan(
        consumers=consumers,
        messages=messages,
        burst=burst,
        seed=seed,
        equal_messages=min(
            Plan().equal_messages, max(50, messages // 50)
        ),  # a short demo is short throughout
        namespace=namespace,
    )
    with exit_codes():
        try:
            arrivals = make_traffic(plan, traffic)
        except (OSError, ValueError) as error:
            raise typer.BadParameter(str(error), param_hint="--traffic") from error
        if picture is not None:
            pictures.prepare(picture)
        with _access(broker, url) as access:
            # Connects to nothing, but refuses wrong settings before anything is shown.
            access.dispatcher(namespace)
            outcomes = run(run_demo(plan, arrivals, access, as_json=as_json))
        if picture is not None:
            pictures.draw(outcomes, picture)
    if not all(outcome.exact for outcome in outcomes):
        raise typer.Exit(EXIT_FAILED)


@contextmanager
def _access(broker: str, url: str | None) -> Iterator[Access]:
    """Give a server of their own to the demo and its consumers, if no other is named."""
    if broker != _BROKER or (url or os.environ.get(_URL_VARIABLE) or _URL) != _URL:
        yield Access(broker, url)
        return
    try:
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX))
    except OSError as error:
        raise ConfigurationError(f"no folder for the demo's server can be made: {error}") from error
    try:
        yield Access(broker, f"{_URL}{folder}")
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove the folder of a server that is about to end."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)
