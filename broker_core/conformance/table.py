"""Writes which behaviour passed, failed or was skipped on which broker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_BEHAVIOUR = re.compile(r"test_([a-z])(\d+)_(\w+)")
_SIGNS = {"passed": "✓", "failed": "**✗**", "skipped": "–"}
_WORST_LAST = ("passed", "skipped", "failed")

Behaviour = tuple[str, int, str]


class ConformanceTable:
    """Collects reports of tests that carry a behaviour's number; of a test with parameters the worst counts.

    A broker is a test module, and the parameter of its fixture `harness` if it has one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._brokers: dict[str, str] = {}
        self._rows: dict[Behaviour, dict[str, str]] = {}
        self._skips: set[tuple[str, str]] = set()

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note the broker of a test."""
        broker = item.path.stem.removeprefix("test_")
        if isinstance(item, pytest.Function) and (spec := getattr(item, "callspec", None)) is not None:
            broker = f"{broker} {spec.params.get('harness', '')}".strip()
        self._brokers[item.nodeid] = broker

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a phase of a test."""
        found = _BEHAVIOUR.match(report.nodeid.rpartition("::")[2].partition("[")[0])
        if found is None or (report.when != "call" and report.passed):
            return
        broker = self._brokers[report.nodeid]
        row = self._rows.setdefault((found[1].upper(), int(found[2]), found[3].replace("_", " ")), {})
        row[broker] = max(row.get(broker, "passed"), report.outcome, key=_WORST_LAST.index)
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
