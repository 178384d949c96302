"""Writes which behaviour passed, failed or was skipped on which broker, for people or for machines."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

SERVER_PROPERTY = "conformance server"
"""Name of the user property by which a test's report tells which server it ran on."""

_TEST = re.compile(r"test_([a-z])(\d+)_(\w+)")
_BEHAVIOUR = re.compile(r"([A-Z])(\d+) (.*)")
_SIGNS = {"passed": "✓", "failed": "**✗**", "skipped": "–"}
_WORST_LAST = ("passed", "skipped", "failed")


@dataclass(slots=True)
class Column:
    """The outcomes of one broker, a behaviour each; skipped tells why one was skipped.

    broker: the test module, and the parameter of its fixture `harness` if it has one. server: what the
    broker calls itself. size, day: of the run.
    """

    broker: str
    server: str = ""
    size: str = ""
    day: str = ""
    outcomes: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def count(self, outcome: str) -> int:
        """Tell how many behaviours ended like this: passed, skipped or failed."""
        return list(self.outcomes.values()).count(outcome)


def as_markdown(columns: Sequence[Column]) -> str:
    """Make a table of behaviours × brokers, and a list of why something was skipped."""
    behaviours = {behaviour for column in columns for behaviour in column.outcomes}
    lines = [f"| behaviour | {' | '.join(column.broker for column in columns)} |"]
    lines.append("|---|" + "---|" * len(columns))
    for behaviour in sorted(behaviours, key=_place_of):
        signs = (_SIGNS.get(column.outcomes.get(behaviour, ""), "") for column in columns)
        lines.append(f"| {behaviour} | {' | '.join(signs)} |")
    reasons = {(column.broker, reason) for column in columns for reason in column.skipped.values()}
    return "\n".join([*lines, "", *(f"- {broker}: {reason}" for broker, reason in sorted(reasons))]) + "\n"


def read_columns(path: Path) -> list[Column]:
    """Read what a run has written to a file whose name ends in .json."""
    return [Column(**column) for column in json.loads(path.read_text(encoding="utf-8"))]


def _place_of(behaviour: str) -> tuple[str, int, str]:
    match = _BEHAVIOUR.fullmatch(behaviour)
    assert match is not None
    return match[1], int(match[2]), match[3]


class ConformanceTable:
    """Collects reports of tests with a behaviour's number; of a test with parameters the worst counts."""

    def __init__(self, path: Path, size: str) -> None:
        self._path = path
        self._size = size
        self._brokers: dict[str, str] = {}
        self._columns: dict[str, Column] = {}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note the broker of a test."""
        broker = item.path.stem.removeprefix("test_")
        if isinstance(item, pytest.Function) and (spec := getattr(item, "callspec", None)) is not None:
            broker = f"{broker} {spec.params.get('harness', '')}".strip()
        self._brokers[item.nodeid] = broker

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a phase of a test."""
        found = _TEST.match(report.nodeid.rpartition("::")[2].partition("[")[0])
        if found is None or (report.when != "call" and report.passed):
            return
        behaviour = f"{found[1].upper()}{found[2]} {found[3].replace('_', ' ')}"
        broker = self._brokers[report.nodeid]
        column = self._columns.setdefault(broker, Column(broker, size=self._size, day=_today()))
        column.server = str(dict(report.user_properties).get(SERVER_PROPERTY) or column.server)
        before = column.outcomes.get(behaviour, "passed")
        column.outcomes[behaviour] = max(before, report.outcome, key=_WORST_LAST.index)
        if report.skipped and isinstance(report.longrepr, tuple):
            column.skipped[behaviour] = str(report.longrepr[2]).removeprefix("Skipped: ")

    def pytest_sessionfinish(self) -> None:
        """Write the file: JSON when its name ends in .json, else Markdown."""
        columns = [self._columns[broker] for broker in sorted(self._columns)]
        if self._path.suffix == ".json":
            text = json.dumps([asdict(column) for column in columns], indent=1, ensure_ascii=False) + "\n"
        else:
            text = as_markdown(columns)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(text, encoding="utf-8")


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
