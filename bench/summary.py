"""Writes recorded results as Markdown: `python -m bench.summary FILE… > docs/benchmarks/README.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import report

HEAD = """# What was measured

Written by `python -m bench.summary`. Machines differ: ratios count more than rates, and the figures of one
file belong together. `make bench` measures anew, prints the same tables and writes JSON to `bench/results/`.
Each case runs in a new process with an empty server of its own; the cases of a scenario alternate. A message
that was lost or came twice fails the run. Rates count from the first publish to the last ack, the making of
messages included.
"""


def lines_of(file: Path) -> Iterator[str]:
    """Yield the Markdown of one result file."""
    recorded: Mapping[str, Any] = json.loads(file.read_text("utf-8"))
    facts, settings = recorded["machine"], recorded["settings"]
    yield f"\n## [{file.name}]({file.name})\n"
    yield (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['kernel']}; "
        f"Python {facts['python']}, {facts['packages']}; commit {facts['commit']}, {recorded['started']}; "
        f"load before {facts['load_before']}."
    )
    size = "" if settings["scale"] == 1 else f", at {settings['scale']:g} of the size"
    yield (
        f"Quantum {settings['quantum']}, payload {settings['payload_bytes']} B, "
        f"batches of {settings['batch']}, {settings['transport']}{size}."
    )
    for result in recorded["results"]:
        yield (
            f"\n**{result['scenario']}**: {result['about']}. {result['server']}, "
            f"{result['server_described']}.\n"
        )
        yield "| | median | lowest – highest | n | to show |"
        yield "|---|---|---|---|---|"
        for figure in result["figures"]:
            values = figure["values"]
            label = figure["label"].replace("|", "\\|")
            median = f"{report.number(figure['median'])} {figure['unit']}".strip()
            yield (
                f"| {label} | {median} "
                f"| {report.number(min(values))} – {report.number(max(values))} | {len(values)} "
                f"| {report.target(figure['at_least'], figure['at_most'])} |"
            )


def main(files: list[str]) -> None:
    """Print the page for these files."""
    print(HEAD, end="")
    for file in files:
        for line in lines_of(Path(file)):
            print(line)


if __name__ == "__main__":
    main(sys.argv[1:])
