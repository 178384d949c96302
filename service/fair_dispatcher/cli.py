"""The command line `fairdispatch`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from broker_core import FairDispatcher, open_dispatcher
from fair_dispatcher.commands import backlogs, dead_letters, policy, publish, purge, version
from fair_dispatcher.demo.command import make_traffic, run_demo
from fair_dispatcher.demo.scenario import Plan
from fair_dispatcher.demo.traffic import SAMPLE_MESSAGES, SAMPLE_SEED
from fair_dispatcher.runtime import EXIT_FAILED, exit_codes, run
from fair_dispatcher.usage import Commands, examples, exit_code_list, show_help

app = typer.Typer(
    help="Divides the messages of many customers fairly among consumers.",
    epilog=examples(
        ("see it work, on a server of its own", "fairdispatch demo"),
        ("let a broker be known to every command", "export BROKER=redis REDIS_URL=redis://127.0.0.1:6379/0"),
        ("how many messages are where", "fairdispatch backlog"),
    )
    + exit_code_list(),
    cls=Commands,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.callback(invoke_without_command=True)(show_help)
for group in (publish.app, backlogs.app, purge.app, version.app):
    app.add_typer(group)
app.add_typer(policy.app, name="policy")
app.add_typer(dead_letters.app, name="dead-letters")

# What the demo takes when nothing is configured: a real server that needs no installation.
DEMO_BROKER = "redis"
DEMO_URL_VARIABLE = "REDIS_URL"
DEMO_URL = "embedded:"
# Repeating a publishing is a matter of seconds here, and the window is what stays after the demo.
DEMO_DEDUP_SECONDS = 30.0


@app.command()
def demo(
    url: Annotated[
        str | None,
        typer.Option(help=f"Where the broker is; else {DEMO_URL_VARIABLE}, else a server of its own."),
    ] = None,
    broker: Annotated[str, typer.Option(envvar="BROKER", help="Which adapter to use.")] = DEMO_BROKER,
    consumers: Annotated[int, typer.Option(min=1, max=100, help="Consumers, four handlers each.")] = 4,
    messages: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Messages of the quiet customers together.")
    ] = SAMPLE_MESSAGES,
    burst: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Messages that one customer sends at once.")
    ] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the traffic.")] = SAMPLE_SEED,
    traffic: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="NDJSON to replay instead."),
    ] = None,
    namespace: Annotated[
        str, typer.Option(help="Demos that run at once on one server need different ones.")
    ] = "demo",
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Let one customer flood a few consumers that many share, fairly and through one FIFO stream.

    Takes about half a minute. The messages are removed again. Exit code 1 if one was lost or came twice.
    """
    plan = Plan(
        consumers=consumers,
        messages=messages,
        burst=burst,
        seed=seed,
        equal_messages=min(400, max(50, messages // 50)),  # a short demo is short in every part
        namespace=namespace,
    )
    if url is None and broker == DEMO_BROKER and not os.environ.get(DEMO_URL_VARIABLE):
        url = DEMO_URL

    def open_namespace(name: str) -> FairDispatcher:
        return open_dispatcher(broker, url, namespace=name, dedup_window=DEMO_DEDUP_SECONDS)

    with exit_codes():
        try:
            arrivals = make_traffic(plan, traffic)
        except (OSError, ValueError) as error:
            raise typer.BadParameter(str(error), param_hint="--traffic") from error
        open_namespace(namespace)  # connects to nothing, but refuses wrong settings before anything is shown
        exact = run(run_demo(plan, arrivals, open_namespace, as_json=as_json))
    if not exact:
        raise typer.Exit(EXIT_FAILED)
