"""Makes queues and partitions until time or memory are over, and tells what each costs."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.scale import kafka_partitions, rabbitmq_queues
from bench.scale.model import Growth

KINDS: dict[str, Callable[[int, float], Coroutine[None, None, Growth]]] = {
    "quorum": partial(rabbitmq_queues.grow, "quorum"),
    "classic": partial(rabbitmq_queues.grow, "classic"),
    "partitions": kafka_partitions.grow,
}


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(KINDS)}; all if left out.")] = None,
    most: Annotated[int, typer.Option(min=1000, help="How many of each kind at most.")] = 100_000,
    seconds: Annotated[float, typer.Option(help="How long each kind may grow.")] = 600.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
) -> None:
    """Measure each on a server of its own, print a table, write JSON."""
    logging.disable(logging.ERROR)  # clients tell of every attempt while a server restarts
    console = Console(width=None if sys.stdout.isatty() else 140)
    facts: dict[str, object] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
    }
    growths = []
    for kind in only or KINDS:
        growths.append(asyncio.run(KINDS[kind](most, seconds)))
        show(growths[-1], console)
    path = json_file or Path(__file__).parents[1] / "results" / "scale.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts | {"results": [one.as_dict() for one in growths]}, indent=1) + "\n")
    console.print(f"written to {path}")


def show(growth: Growth, console: Console) -> None:
    """Print a table."""
    table = Table(title=f"idle {growth.kind} of {growth.server}", caption=growth.ended, title_justify="left")
    for heading in ("count", "made/s", "resident MiB", "KiB each", "disk MiB", "open files", "restart s"):
        table.add_column(heading, justify="right")
    for step in growth.steps:
        table.add_row(
            f"{step.count:,}",
            f"{step.made_per_second:,.0f}",
            f"{step.resident_bytes / 2**20:,.0f}",
            f"{step.bytes_each / 1024:,.1f}",
            f"{step.disk_bytes / 2**20:,.0f}",
            f"{step.open_files:,}",
            f"{step.restart_seconds:,.1f}",
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
