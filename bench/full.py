"""Measures everything, then writes results, page and pictures: `make bench-full`.

Each step writes its file to `bench/results/full/`. Broken off, it goes on where it was; with `--anew` it
begins from the start. With `--only` the other steps are left out. At the end the files go to a folder of
docs/benchmarks named by the day.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import pictures, scenarios, summary
from bench.__main__ import NOT_SHOWN
from bench.recorded import FOLDER

WORKING = Path(__file__).with_name("results") / "full"
_ON_ALL = [scenario.name for scenario in scenarios.ALL if len(scenario.brokers) > 1]
_ON_REDIS = [scenario.name for scenario in scenarios.ALL if len(scenario.brokers) == 1]


@dataclass(frozen=True, slots=True)
class Step:
    """One file of results. resumes: the command can go on within its file."""

    file: str
    command: Sequence[str]
    resumes: bool = False


STEPS = (
    Step("redis7.json", ("bench", *(word for name in _ON_REDIS for word in ("--only", name))), resumes=True),
    Step(
        "brokers.json",
        (
            *("bench", "--repeat", "3"),
            *(word for kind in ("redis7", "rabbitmq", "kafka") for word in ("--server", kind)),
            *(word for name in _ON_ALL for word in ("--only", name)),
        ),
        resumes=True,
    ),
    Step("peers.json", ("bench.peers",)),
    Step("kafka-100-customers.json", ("bench.peers", "--server", "kafka", "--customers", "100")),
    Step("rabbitmq-1000-customers.json", ("bench.peers", "--server", "rabbitmq", "--repeat", "3")),
    Step("http.json", ("bench.http.service",)),
    Step("frameworks.json", ("bench.http.frameworks",)),
    Step("scale.json", ("bench.scale",)),
    Step("simplicity.json", ("bench.restart",)),
    Step("estimate.json", ("bench.estimate",)),
    Step("envelope.json", ("bench.envelope",)),
    Step("schedulers.json", ("bench.schedulers",)),
    Step("quantum.json", ("bench.quantum",)),
    Step("redis-memory.json", ("bench.redis_memory",)),
    Step("redis-writes.json", ("bench.redis_writes",)),
    Step("kafka-idle-consumer.json", ("bench.kafka_idle_consumer",)),
)


def main(
    only: Annotated[list[str] | None, typer.Option(help="Steps by their file, without .json.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Forget what was measured before.")] = False,
) -> None:
    """Run the steps that are missing; record everything when none is left."""
    console = Console()
    if anew:
        shutil.rmtree(WORKING, ignore_errors=True)
    WORKING.mkdir(parents=True, exist_ok=True)
    failed = []
    for step in STEPS:
        if only and step.file.removesuffix(".json") not in only:
            continue
        done = WORKING / f"{step.file}.done"
        if done.exists():
            continue
        console.rule(step.file)
        command = [sys.executable, "-m", *step.command, "--json", str(WORKING / step.file)]
        code = subprocess.run(command + ["--resume"] * step.resumes, check=False).returncode
        if code in {0, NOT_SHOWN}:
            done.touch()
        else:
            failed.append(step.file)
    if failed:
        raise SystemExit(f"not measured: {', '.join(failed)}; run it again to go on")
    record(FOLDER / f"{datetime.now(UTC):%Y-%m-%d}")


def record(folder: Path) -> None:
    """Put what was measured into the folder; write page and pictures anew."""
    folder.mkdir(exist_ok=True)
    for done in WORKING.glob("*.json.done"):
        shutil.copy(done.with_suffix(""), folder)
    pictures.draw_all()
    with (FOLDER / "README.md").open("w") as page, redirect_stdout(page):
        summary.main()
    # The next time measures anew.
    shutil.rmtree(WORKING)


if __name__ == "__main__":
    typer.run(main)
