"""`fairdispatch publish`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from broker_core import FairDispatcher
from fair_dispatcher.commands.options import AsJson, Broker, Namespace, Target, Url
from fair_dispatcher.publishing.display import ProgressBar, summary
from fair_dispatcher.publishing.parsing import Parser
from fair_dispatcher.publishing.publisher import Publisher, Report, StoppedAt
from fair_dispatcher.publishing.source import STANDARD_INPUT, Source, UnreadableSource
from fair_dispatcher.runtime import EXIT_FAILED, run, say
from fair_dispatcher.usage import examples

app = typer.Typer()


def _there(file: Path) -> Path:
    # Typer's own `exists` would look for a file named -.
    if file != STANDARD_INPUT and not file.exists():
        raise typer.BadParameter(f"there is no file {str(file)!r}")
    return file


@app.command(
    epilog=examples(
        ("a file", "fairdispatch publish messages.ndjson"),
        ("what another program writes, as it writes it", "zcat messages.ndjson.gz | fairdispatch publish -"),
        (
            "recorded traffic, which has one field more",
            "fairdispatch publish traffic.ndjson --ignore at --on-error skip",
        ),
    )
)
def publish(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            dir_okay=False,
            allow_dash=True,
            callback=_there,
            help="Messages, a JSON object a line; - is the standard input.",
        ),
    ],
    on_error: Annotated[
        Literal["stop", "skip"],
        typer.Option(
            help="What a broken line does: end the run, or only be reported. What stands before it is "
            "published and the exit code is 1 in either case."
        ),
    ] = "stop",
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="A field to pass over; may be repeated. Others are errors."),
    ] = None,
    as_json: AsJson = False,
    broker: Broker = None,
    url: Url = None,
    namespace: Namespace = None,
) -> None:
    """Publish the messages of a file.

    They are published in its order, each as soon as its line is there. A line is, for example:
    {"customer": "acme", "payload": "text", "headers": {"k": "v"}, "id": "order-17", "cost": 1}.
    payload_base64 stands instead of payload for what is no text; headers, id and cost may be left out.
    With an id a line may be published again: within the dedup window it is stored once.

    At the end, whatever the end, a summary says how many were published and at which line to go on.
    --json prints it as: published, skipped, lines, seconds, next_line, unknown_lines, error.
    """

    async def publish_file(dispatcher: FairDispatcher) -> Report:
        source = Source(file)
        bar = ProgressBar(source.size_bytes)
        publisher = Publisher(
            dispatcher,
            Parser(dispatcher.settings, dispatcher.capabilities, ignore or ()),
            on_broken=bar.skipped if on_error == "skip" else None,
            on_progress=bar.show,
        )
        try:
            with summary(publisher.report, as_json=as_json), bar:
                async with dispatcher, source:
                    await publisher.publish(source)
        except (StoppedAt, UnreadableSource) as error:
            say(f"{'the standard input' if file == STANDARD_INPUT else file}, {error}")
            raise typer.Exit(EXIT_FAILED) from error
        return publisher.report

    if run(publish_file(Target(broker, url, namespace).shared_dispatcher())).skipped:
        raise typer.Exit(EXIT_FAILED)
