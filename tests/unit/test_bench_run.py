"""A run of the benchmark that is resumed measures what is missing, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import report, run
from bench.__main__ import ServerKind
from bench.model import Bench, Case, Figure, Metrics, Scenario
from bench.servers import ServerSettings

FACTS: dict[str, Any] = {
    "started": "2026-01-01T00:00:00+00:00",
    "machine": {"commit": "c0ffee", "cpu": "any"},
    "settings": {"scale": 1.0},
}
KINDS = [ServerSettings(kind=ServerKind.REDIS7), ServerSettings(kind=ServerKind.KAFKA)]


async def _never(bench: Bench) -> Metrics:
    raise AssertionError(bench)


SCENARIO = Scenario(
    name="pair",
    about="two cases",
    cases=(Case("first", _never), Case("second", _never)),
    figures=(Figure(label="ratio", case="second", metric="rate", over=("first", "rate")),),
    brokers={"redis": 1.0, "kafka": 0.5},
)


class BrokenOff(Exception):
    """The run ends here."""


class Cases:
    """Stands for the processes that measure, and tells in which order they ran."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.ran: list[tuple[str, str, float]] = []

    def __call__(
        self, scenario: Scenario, case: str, settings: ServerSettings, scale: float
    ) -> tuple[str, Metrics]:
        if len(self.ran) == self.most:
            raise BrokenOff
        self.ran.append((case, settings.kind, scale))
        return f"{settings.kind} 1.0", {"rate": 2.0 if case == "second" else 1.0}


def begin(path: Path, cases: Cases, monkeypatch: pytest.MonkeyPatch) -> run.Run:
    monkeypatch.setattr(run, "run_case", cases)
    return run.Run(path, FACTS, lambda result, case, repetition, of: None)


def test_cases_and_servers_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = Cases(100)
    begin(tmp_path / "r.json", cases, monkeypatch).measure(SCENARIO, KINDS, 2, 0.5)
    once = [("first", "redis7", 0.5), ("second", "redis7", 0.5), ("first", "kafka", 0.25)]
    assert cases.ran == [*once, ("second", "kafka", 0.25)] * 2


@pytest.mark.parametrize("most", range(8))
def test_resumed_run_measures_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    path = tmp_path / "r.json"
    broken_off = Cases(most)
    with pytest.raises(BrokenOff):
        begin(path, broken_off, monkeypatch).measure(SCENARIO, KINDS, 2, 1.0)
    rest = Cases(100)
    resumed = begin(path, rest, monkeypatch)
    if most:
        resumed.resume()
    resumed.measure(SCENARIO, KINDS, 2, 1.0)
    assert len(broken_off.ran) + len(rest.ran) == 8
    recorded = json.loads(path.read_text("utf-8"))
    assert [one["server"] for one in recorded["results"]] == ["redis7 1.0", "kafka 1.0"]
    assert [one["figures"][0]["values"] for one in recorded["results"]] == [[2.0, 2.0]] * 2


def test_a_repetition_that_is_not_whole_gives_no_figure() -> None:
    result = report.Result(SCENARIO, KINDS[0], raw={"first": [{"rate": 1.0}, {"rate": 1.0}], "second": []})
    assert run.complete([result]) == []
    result.raw["second"].append({"rate": 3.0})
    assert result.values(SCENARIO.figures[0]) == [3.0]


def test_other_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.json"
    begin(path, Cases(100), monkeypatch).measure(SCENARIO, KINDS, 1, 1.0)
    monkeypatch.setitem(FACTS, "machine", {"commit": "decaf", "cpu": "any"})
    with pytest.raises(SystemExit, match="commit"):
        begin(path, Cases(0), monkeypatch).resume()


def test_what_is_not_asked_for_now_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.json"
    begin(path, Cases(100), monkeypatch).measure(SCENARIO, KINDS, 1, 1.0)
    resumed = begin(path, Cases(100), monkeypatch)
    resumed.resume()
    resumed.measure(SCENARIO, KINDS[1:], 2, 1.0)
    assert [one["server"] for one in json.loads(path.read_text("utf-8"))["results"]] == [
        "redis7 1.0",
        "kafka 1.0",
    ]
