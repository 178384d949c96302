"""Turns measurements into a table for people and JSON for comparison."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.model import Figure, Metrics, Scenario
from bench.servers import ServerSettings


@dataclass(slots=True)
class Result:
    """A scenario on one server: the raw metrics of each case, repetition by repetition."""

    scenario: Scenario
    server: ServerSettings
    version: str = ""
    raw: dict[str, list[Metrics]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name it among all results, for whoever quotes it."""
        durable = "" if self.server.append_only == "no" else f" {self.server.append_only}"
        return f"{self.scenario.name} on {self.server.kind}{durable}"

    @property
    def repetitions(self) -> int:
        """Count the repetitions that are complete: every case ran."""
        return min(len(self.raw.get(case.name, ())) for case in self.scenario.cases)

    def values(self, figure: Figure) -> list[float]:
        """Return the figure of each complete repetition."""
        values = self._numbers(figure.case, figure.metric)
        if figure.over is None:
            return values
        return [value / base for value, base in zip(values, self._numbers(*figure.over), strict=True)]

    def _numbers(self, case: str, metric: str) -> list[float]:
        return [float(metrics[metric]) for metrics in self.raw[case][: self.repetitions]]


# Told of each case before it runs: what was measured so far, the case, which repetition of how many.
Progress = Callable[[Result, str, int, int], None]


def verdict(figure: Figure, median: float) -> bool | None:
    """Tell whether the figure shows what it has to; None where nothing is asked of it."""
    if figure.at_least is None and figure.at_most is None:
        return None
    low = figure.at_least is None or median >= figure.at_least
    return low and (figure.at_most is None or median <= figure.at_most)


def met(result: Result) -> bool:
    """Tell whether every figure shows what it has to; asked of the usual settings of Redis alone."""
    return result.server != ServerSettings(kind="redis7") or all(
        verdict(figure, statistics.median(result.values(figure))) is not False
        for figure in result.scenario.figures
    )


def table(results: Sequence[Result], console: Console) -> None:
    """Print one table a scenario."""
    for result in results:
        server = result.server
        shown = Table(
            title=f"{result.scenario.name}: {result.scenario.about}",
            caption=f"{result.version}, {server}",
            title_justify="left",
            caption_justify="left",
        )
        for heading in ("", "median", "lowest – highest", "n", "to show"):
            shown.add_column(heading, justify="left" if not heading else "right")
        for figure in result.scenario.figures:
            values = result.values(figure)
            median = statistics.median(values)
            style = {True: "green", False: "bold red", None: ""}[verdict(figure, median)]
            shown.add_row(
                figure.label,
                f"{number(median)} {figure.unit}".strip(),
                f"{number(min(values))} – {number(max(values))}",
                str(len(values)),
                target(figure.at_least, figure.at_most),
                style=style,
            )
        console.print(shown)


def number(value: float) -> str:
    """Return the value with as many digits as matter."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.4f}" if 0.99 < value < 1 else f"{value:.3g}"


def target(at_least: float | None, at_most: float | None) -> str:
    """Return what a figure has to show, as text."""
    if at_least is not None:
        return f"≥ {number(at_least)}"
    return "" if at_most is None else f"≤ {number(at_most)}"


def recorded(
    label: str,
    values: Sequence[float],
    unit: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
) -> dict[str, Any]:
    """Return a figure as JSON takes it."""
    return {
        "label": label,
        "values": list(values),
        "median": statistics.median(values),
        "unit": unit,
        "at_least": at_least,
        "at_most": at_most,
    }


def as_json(
    results: Sequence[Result], facts: Mapping[str, object], others: Sequence[Mapping[str, object]] = ()
) -> str:
    """Return everything that was measured, with the medians; others: results that are JSON already."""
    return json.dumps(
        {
            **facts,
            "results": [
                *others,
                *(
                    {
                        "name": result.name,
                        "scenario": result.scenario.name,
                        "about": result.scenario.about,
                        "server": result.version,
                        "server_settings": asdict(result.server),
                        "server_described": str(result.server),
                        "figures": [
                            {
                                "label": figure.label,
                                "values": result.values(figure),
                                "median": statistics.median(result.values(figure)),
                                "unit": figure.unit,
                                "at_least": figure.at_least,
                                "at_most": figure.at_most,
                            }
                            for figure in result.scenario.figures
                            if result.repetitions
                        ],
                        "raw": result.raw,
                    }
                    for result in results
                ),
            ],
        },
        indent=1,
        ensure_ascii=False,
    )


def write(path: Path, text: str) -> None:
    """Write the file, and its folder where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")
