"""Makes queues and partitions until time or memory are over, and tells what each costs."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.scale.growing import Growable, grow
from bench.scale.kafka_partitions import Partitions
from bench.scale.model import Growth, Limits, Step
from bench.scale.rabbitmq_queues import Queues

KINDS: dict[str, Callable[[], Growable]] = {
    "quorum": partial(Queues, "quorum"),
    "classic": partial(Queues, "classic"),
    "partitions": Partitions,
}
HEADINGS = ("count", "made/s", "resident MiB", "KiB each", "disk MiB", "open files", "restart s")


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(KINDS)}; all if left out.")] = None,
    most: Annotated[int, typer.Option(min=100, help="How many of each kind at most.")] = 100_000,
    seconds: Annotated[
        float, typer.Option(help="How long each kind may grow, restarts not counted.")
    ] = 600.0,
    restart_seconds: Annotated[
        float, typer.Option(help="How long to wait for a restart, at the first steps and at the end.")
    ] = 300.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
) -> None:
    """Measure each on a server of its own, show every step, write JSON after each, print tables."""
    logging.disable(logging.ERROR)  # clients tell of every attempt while a server restarts
    console = Console(width=None if sys.stdout.isatty() else 140)
    facts: dict[str, object] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
    }
    path = json_file or Path(__file__).parents[1] / "results" / "scale.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    finished: list[Growth] = []

    def write(growths: list[Growth]) -> None:
        path.write_text(json.dumps(facts | {"results": [one.as_dict() for one in growths]}, indent=1) + "\n")

    def tell(growth: Growth) -> None:
        write([*finished, growth])
        cells = zip(HEADINGS, cells_of(growth.steps[-1]), strict=True)
        shown = ", ".join(f"{name} {cell}" for name, cell in cells)
        console.print(f"{growth.kind}: {shown} ({growth.ended})", highlight=False)

    limits = Limits(most=most, seconds=seconds, restart_seconds=restart_seconds)
    for kind in only or KINDS:
        what = KINDS[kind]()
        try:
            finished.append(asyncio.run(grow(what, limits, tell)))
        finally:
            what.server.stop()
        write(finished)
    for growth in finished:
        console.print(table(growth))
    console.print(f"written to {path}")


def cells_of(step: Step) -> tuple[str, ...]:
    """Return a step as texts under HEADINGS."""
    return (
        f"{step.count:,}",
        f"{step.made_per_second:,.0f}",
        f"{step.resident_bytes / 2**20:,.0f}",
        f"{step.bytes_each / 1024:,.1f}",
        f"{step.disk_bytes / 2**20:,.0f}",
        f"{step.open_files:,}",
        "–" if step.restart_seconds is None else f"{step.restart_seconds:,.1f}",
    )


def table(growth: Growth) -> Table:
    """Return the steps of one kind."""
    made = Table(title=f"idle {growth.kind} of {growth.server}", caption=growth.ended, title_justify="left")
    for heading in HEADINGS:
        made.add_column(heading, justify="right")
    for step in growth.steps:
        made.add_row(*cells_of(step))
    return made


if __name__ == "__main__":
    typer.run(main)
