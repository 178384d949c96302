"""A run of scenarios that can be broken off and resumed: every case is written as soon as it is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import report, servers
from bench.model import Metrics, Scenario

CASE_SECONDS = 600
EXACTLY_ONCE = ("lost", "duplicated", "unknown", "left")


@dataclass(slots=True)
class Run:
    """What was measured so far, in a file.

    facts: machine, settings, and when it began. progress: is told of each case before it runs.
    """

    path: Path
    facts: Mapping[str, Any]
    progress: report.Progress
    results: list[report.Result] = field(default_factory=list)
    recorded: list[Mapping[str, Any]] = field(default_factory=list)

    def resume(self) -> None:
        """Take up what the file holds; exit when code, machine or settings are others now."""
        before = json.loads(self.path.read_text("utf-8"))
        now = self.facts
        for name, then, today in (
            ("settings", before["settings"], now["settings"]),
            ("commit", before["machine"]["commit"], now["machine"]["commit"]),
            ("cpu", before["machine"]["cpu"], now["machine"]["cpu"]),
        ):
            if then != today:
                raise SystemExit(f"{self.path} has {name} {then}, this run {today}: leave out --resume")
        self.facts = {**now, "started": before["started"]}
        self.recorded = before["results"]

    def measure(
        self, scenario: Scenario, kinds: Iterable[servers.ServerSettings], repeat: int, scale: float
    ) -> None:
        """Run every case on every server in turn, `repeat` times, so that a slow moment hits all alike."""
        results = [self._result(scenario, settings) for settings in kinds]
        self.results += results
        for repetition in range(repeat):
            for result in results:
                for case in scenario.cases:
                    found = result.raw.setdefault(case.name, [])
                    if len(found) > repetition:
                        continue
                    self.progress(result, case.name, repetition + 1, repeat)
                    part = scale * scenario.brokers[result.server.broker]
                    result.version, metrics = run_case(scenario, case.name, result.server, part)
                    found.append(metrics)
                    self.write()

    def _result(self, scenario: Scenario, settings: servers.ServerSettings) -> report.Result:
        result = report.Result(scenario, settings)
        for one in self.recorded:
            if (one["scenario"], one["server_settings"]) == (scenario.name, asdict(settings)):
                result.version = one["server"]
                result.raw = {name: list(found) for name, found in one["raw"].items()}
        return result

    def write(self) -> None:
        """Write everything, with what was recorded before and isn't asked for now."""
        taken = [(one.scenario.name, asdict(one.server)) for one in self.results]
        others = [one for one in self.recorded if (one["scenario"], one["server_settings"]) not in taken]
        report.write(self.path, report.as_json(self.results, self.facts, others))


def run_case(
    scenario: Scenario, case: str, settings: servers.ServerSettings, scale: float
) -> tuple[str, Metrics]:
    """Return the server's version and the metrics; exit when a message was lost or came twice."""
    with servers.running(settings) as server:
        command = [sys.executable, "-m", "bench.processes.case", scenario.name, case]
        command += [server.url, str(server.pid), str(scale)]
        finished = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, timeout=CASE_SECONDS, check=False
        )
    if finished.returncode != 0:
        raise SystemExit(f"{scenario.name}/{case} on {settings.kind} failed; see above")
    metrics: Metrics = json.loads(finished.stdout)
    wrong = {name: metrics[name] for name in EXACTLY_ONCE if metrics.get(name)}
    if wrong:
        raise SystemExit(f"{scenario.name}/{case} on {settings.kind} did not deliver exactly once: {wrong}")
    return server.version, metrics


def complete(results: Sequence[report.Result]) -> list[report.Result]:
    """Return those of which at least one repetition is whole."""
    return [result for result in results if result.repetitions]
