"""Runs scenarios, each case in a new process with an empty server, and reports: `python -m bench --help`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import machine, report, scenarios, servers, traffic
from bench.model import Scenario
from bench.run import Run, complete

# A case that fails exits with 1.
NOT_SHOWN = 3
RESULTS = Path(__file__).with_name("results")


class ServerKind(StrEnum):
    """Servers that the benchmark can start."""

    REDIS7 = "redis7"
    VALKEY9 = "valkey9"
    RABBITMQ = "rabbitmq"
    KAFKA = "kafka"


class AppendOnly(StrEnum):
    """How durable the server is."""

    NO = "no"
    EVERYSEC = "everysec"
    ALWAYS = "always"


def settings_of(
    scenario: Scenario, kinds: Sequence[str], durabilities: Sequence[str], node_bytes: int
) -> Iterator[servers.ServerSettings]:
    """Yield the servers that the scenario runs on."""
    for kind in kinds:
        settings = servers.ServerSettings(kind=kind, node_bytes=node_bytes)
        if settings.broker not in scenario.brokers:
            continue
        for durability in durabilities or scenario.append_only if settings.broker == "redis" else ["no"]:
            yield replace(settings, append_only=durability)


def main(
    only: Annotated[list[str] | None, typer.Option(help="Run these scenarios alone.")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Repetitions; some scenarios take fewer.")] = 5,
    scale: Annotated[float, typer.Option(min=0.001, max=1, help="Part of the full size, to try it.")] = 1.0,
    server: Annotated[
        list[ServerKind] | None, typer.Option(help="Which servers; redis7 if left out.")
    ] = None,
    append_only: Annotated[
        list[AppendOnly] | None, typer.Option(help="Durability; else what each scenario asks for.")
    ] = None,
    node_bytes: Annotated[int, typer.Option(help="The server's stream-node-max-bytes.")] = 512,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the file of --json, or else the newest one.")
    ] = False,
) -> None:
    """Measure, print a table, write JSON; exit 3 if a figure at full size is not what it has to show."""
    known = [scenario.name for scenario in scenarios.ALL]
    for name in only or []:
        if name not in known:
            raise typer.BadParameter(f"{name} is not one of {', '.join(known)}", param_hint="--only")
    console = Console(width=None if sys.stdout.isatty() else 120)
    started = datetime.now(UTC)
    facts: dict[str, object] = {
        "started": started.isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "settings": {
            "quantum": traffic.QUANTUM,
            "payload_bytes": len(traffic.PAYLOAD),
            "batch": traffic.BATCH,
            "scale": scale,
            "transport": "TCP on loopback, server and client on the same cores",
        },
    }
    path = json_file or (_newest() if resume else RESULTS / f"{started:%Y%m%dT%H%M%SZ}.json")

    def progress(result: report.Result, case: str, repetition: int, of: int) -> None:
        text = f"[dim]{result.scenario.name} {case} on {result.server.kind} {repetition}/{of} …"
        console.print(text, highlight=False)

    run = Run(path, facts, progress)
    if resume and path.exists():
        run.resume()
    durabilities = [str(one) for one in append_only or ()]
    for scenario in scenarios.ALL:
        if not only or scenario.name in only:
            kinds = list(settings_of(scenario, server or [ServerKind.REDIS7], durabilities, node_bytes))
            run.measure(scenario, kinds, min(repeat, scenario.most_repetitions), scale)
    measured = complete(run.results)
    report.table(measured, console)
    console.print(f"written to {path}")
    if scale == 1 and not all(report.met(result) for result in measured):
        raise typer.Exit(NOT_SHOWN)


def _newest() -> Path:
    found = sorted(RESULTS.glob("[0-9]*Z.json"))
    if not found:
        raise typer.BadParameter("there is nothing to resume", param_hint="--resume")
    return found[-1]


if __name__ == "__main__":
    typer.run(main)
