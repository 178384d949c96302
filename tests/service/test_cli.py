"""The command line says what it did, or in one line why not, and its exit code agrees."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fair_dispatcher.cli import app
from fair_dispatcher.demo.traffic import generate, write

SMALL = ("--messages", "200", "--burst", "200", "--consumers", "2")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("FAIRDISPATCH_")]:
        monkeypatch.delenv(variable)
    for variable in ("BROKER", "REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fair_dispatcher", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def test_version() -> None:
    result = invoke("version")
    assert result.exit_code == 0
    assert result.stdout.count(".") >= 2


def test_a_demo_on_a_real_server_without_a_terminal() -> None:
    process = start("demo", *SMALL)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert errors == ""
    rows = {line[:34].strip(): line[34:].split() for line in output.splitlines() if line.startswith("  ")}
    assert rows["messages lost"] == ["0", "0"]
    assert rows["messages duplicated"] == ["0", "0"]
    assert rows["messages left in the broker"] == ["0", "0"]
    fair, fifo = map(float, rows["Jain index of equal customers ¹"])
    assert fair > 0.95
    assert fifo < 0.6
    assert "fair: " in output
    assert "\x1b" not in output


def test_json_is_all_that_is_on_the_standard_output(tmp_path: Path) -> None:
    traffic = tmp_path / "traffic.ndjson"
    traffic.write_text("".join(write(generate(2, 150))), encoding="utf-8")
    result = invoke("demo", "--broker", "memory", *SMALL, "--traffic", str(traffic), "--json")
    assert result.exit_code == 0, result.output
    outcome = json.loads(result.stdout)
    assert set(outcome) == {"plan", "fair", "fifo"}
    for lane in ("fair", "fifo"):
        assert outcome[lane]["messages"] == 350
        assert (outcome[lane]["lost"], outcome[lane]["duplicated"], outcome[lane]["left_in_broker"]) == (
            0,
            0,
            0,
        )
    assert "one more customer" in result.stderr


def test_exit_code_1_when_not_every_message_came_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fair_dispatcher.demo.ledger.Ledger.lost", 3)
    result = invoke("demo", "--broker", "memory", *SMALL)
    assert result.exit_code == 1
    lost = next(line for line in result.stdout.splitlines() if "messages lost" in line)
    assert lost.split()[-2:] == ["6", "6"]  # of the traffic and of the equal backlogs


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("demo", "--broker", "reddis"), 2, "did you mean redis"),
        (("demo", "--url", "nowhere"), 2, "REDIS_URL"),
        (("demo", "--url", "embedded://x"), 2, "embedded:/path/to/data"),
        (("demo", "--namespace", "a b"), 2, "namespace"),
        (("demo", *SMALL, "--url", "redis://127.0.0.1:1/0"), 3, "reached"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: tuple[str, ...], code: int, word: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == code
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("fairdispatch: ")
    assert word in lines[0]


def test_an_unknown_variable_is_refused_before_anything_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRDISPATCH_QUANTUMM", "10")
    result = invoke("demo", "--broker", "memory")
    assert result.exit_code == 2
    assert "did you mean FAIRDISPATCH_QUANTUM" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("value", ["0", "many"])
def test_an_option_out_of_range_is_a_usage_error(value: str) -> None:
    result = invoke("demo", "--consumers", value)
    assert result.exit_code == 2
    assert "--consumers" in result.stderr


def test_a_traffic_file_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "bad.ndjson").write_text("{}\n")
    result = invoke("demo", "--broker", "memory", "--traffic", str(tmp_path / "bad.ndjson"))
    assert result.exit_code == 2
    assert "line 1" in result.stderr


def test_a_bug_is_told_in_one_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("impossible\nstate")

    monkeypatch.setattr("fair_dispatcher.demo.cli.make_traffic", broken)
    result = invoke("demo", "--broker", "memory")
    assert result.exit_code == 1
    assert result.stderr.startswith("fairdispatch: unexpected RuntimeError: impossible state")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_exits_with_130_and_no_traceback(number: signal.Signals) -> None:
    process = start("demo", "--messages", "20000")
    assert process.stdout is not None
    deadline = time.monotonic() + 60
    while "handed over" not in process.stdout.readline():
        assert time.monotonic() < deadline
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "fairdispatch: interrupted\n"


def test_a_missing_extra_is_named() -> None:
    code = "import sys; sys.modules['typer'] = None; from fair_dispatcher.__main__ import main; main()"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 2
    assert (
        finished.stderr == "fairdispatch: the package typer is missing: pip install 'fair-dispatcher[cli]'\n"
    )
