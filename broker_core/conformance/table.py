"""Writes which behaviour passed, failed or was skipped on which broker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_BEHAVIOUR = re.compile(r"^test_([a-z])(\d+)_(.+)$")
_SIGNS = {"passed": "✓", "failed": "**✗**", "skipped": "–"}


class ConformanceTable:
    """Collects reports of tests that carry a behaviour's number; a test's worst outcome counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # (letter, number, words) → broker → outcome
        self._rows: dict[tuple[str, int, str], dict[str, str]] = {}
        self._skips: set[tuple[str, str]] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a phase of a test."""
        name, _, parameters = report.location[2].rpartition(".")[2].partition("[")
        found = _BEHAVIOUR.match(name)
        if found is None or (report.when != "call" and report.passed):
            return
        broker = Path(report.location[0]).stem.removeprefix("test_")
        if parameters:
            broker += f" {parameters.rstrip(']')}"
        row = self._rows.setdefault((found[1].upper(), int(found[2]), found[3].replace("_", " ")), {})
        if row.get(broker) != "failed":
            row[broker] = report.outcome
        if report.skipped and isinstance(report.longrepr, tuple):
            self._skips.add((broker, str(report.longrepr[2]).removeprefix("Skipped: ")))

    def pytest_sessionfinish(self) -> None:
        """Write the file."""
        brokers = sorted({broker for row in self._rows.values() for broker in row})
        lines = [f"| behaviour | {' | '.join(brokers)} |", "|---|" + "---|" * len(brokers)]
        for (letter, number, words), row in sorted(self._rows.items()):
            signs = (_SIGNS.get(row.get(broker, ""), "") for broker in brokers)
            lines.append(f"| {letter}{number} {words} | {' | '.join(signs)} |")
        lines += ["", *(f"- {broker}: {reason}" for broker, reason in sorted(self._skips))]
        self._path.write_text("\n".join(lines) + "\n", encoding="utf-8")
