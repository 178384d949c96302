"""`publish` stores every good line in order, tells of broken ones, and where to go on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from broker_core import FairDispatcher, Message
from broker_core.errors import BrokerFull, BrokerUnavailable, DispatcherError, PublishFailed
from fair_dispatcher.cli import app
from fair_dispatcher.publishing.publisher import BATCH_MESSAGES
from tests.service.command_line import MemoryCommands, documents


def line(number: int = 1, **fields: Any) -> str:
    return json.dumps({"customer": "acme", "payload": f"text {number}", **fields}) + "\n"


def test_every_field_of_a_line_is_published(commands: MemoryCommands) -> None:
    given = line(customer="شرکت", payload="سلام", headers={"k": "v"}, id="order-17", cost=3)
    given += line(payload=None, payload_base64="/wA=")
    outcome = commands.json("publish", "-", given=given)
    assert outcome.pop("seconds") >= 0
    assert outcome == {
        "published": 2,
        "skipped": 0,
        "lines": 2,
        "next_line": 3,
        "unknown_lines": [],
        "error": None,
    }
    assert {message.customer: message for message in commands.take()} == {
        "شرکت": Message("شرکت", "سلام".encode(), {"k": "v"}, "order-17", 3),
        "acme": Message("acme", b"\xff\x00"),
    }


def test_a_file_of_many_batches_comes_in_its_order(commands: MemoryCommands, tmp_path: Path) -> None:
    file = tmp_path / "messages.ndjson"
    total = 3 * BATCH_MESSAGES + 7
    file.write_text("".join(line(number) for number in range(total)))
    output = commands.done("publish", str(file)).stdout
    assert re.fullmatch(rf"published {total:,} messages in [\d.]+ s \([\d,]+/s\)\n", output)
    assert [message.payload for message in commands.take()] == [b"text %d" % n for n in range(total)]


def test_blank_lines_byte_order_mark_and_foreign_line_ends_do_not_matter(commands: MemoryCommands) -> None:
    given = "\ufeff" + line(1).replace("\n", "\r\n") + "\n  \r\n" + line(2).rstrip("\n")
    outcome = commands.json("publish", "-", given=given)
    assert (outcome["published"], outcome["lines"], outcome["skipped"]) == (2, 4, 0)
    assert [message.payload for message in commands.take()] == [b"text 1", b"text 2"]


def test_nothing_to_publish_is_no_error(commands: MemoryCommands) -> None:
    assert commands.json("publish", "-")["published"] == 0


def test_the_same_ids_again_are_stored_once(commands: MemoryCommands) -> None:
    given = "".join(line(number, id=f"id-{number}") for number in range(5))
    for _ in range(2):
        commands.done("publish", "-", given=given)
    assert len(commands.take()) == 5


@pytest.mark.parametrize("before", [3, BATCH_MESSAGES + 3])
def test_a_broken_line_ends_the_run_after_what_stands_before_it(
    commands: MemoryCommands, before: int
) -> None:
    given = "".join(map(line, range(before))) + "{oops}\n" + line(99)
    result = commands("publish", "-", "--json", given=given)
    assert result.exit_code == 1
    problem = f"line {before + 1}: not JSON: Expecting property name enclosed in double quotes at character 2"
    assert result.stderr == f"fairdispatch: the standard input, {problem}\n"
    (outcome,) = documents(result.stdout)
    assert (outcome["published"], outcome["next_line"], outcome["error"]) == (before, before + 1, problem)
    assert [message.payload for message in commands.take()] == [b"text %d" % n for n in range(before)]


def test_the_summary_says_where_to_go_on(commands: MemoryCommands) -> None:
    result = commands("publish", "-", given=line(1) + "?\n")
    assert re.fullmatch(r"published 1 messages in .* s \(.*/s\); go on at line 2\n", result.stdout)


def test_broken_lines_are_skipped_where_that_is_wanted(commands: MemoryCommands) -> None:
    given = "[]\n" + line(1) + "{}\n" + line(2) + "x\n"
    result = commands("publish", "-", "--on-error", "skip", given=given)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "fairdispatch: line 1 skipped: a JSON object is needed, not an array",
        "fairdispatch: line 3 skipped: the field customer is missing",
        "fairdispatch: line 5 skipped: not JSON: Expecting value at character 1",
    ]
    assert "published 2 messages" in result.stdout
    assert "skipped 3 broken lines" in result.stdout
    assert "go on" not in result.stdout
    assert [message.payload for message in commands.take()] == [b"text 1", b"text 2"]


def test_fields_to_ignore_are_passed_over(commands: MemoryCommands) -> None:
    given = line(at=0.5, of=7)
    refused = commands("publish", "-", "--ignore", "of", given=given)
    assert "unknown field 'at'" in refused.stderr
    assert commands.json("publish", "-", "--ignore", "at", "--ignore", "of", given=given)["published"] == 1


def test_the_sample_of_the_repository_is_published(commands: MemoryCommands) -> None:
    sample = Path(__file__).parents[2] / "examples" / "traffic" / "sample.ndjson"
    assert commands.json("publish", str(sample), "--ignore", "at")["published"] == 20_000
    assert commands.json("backlog")["ready"] == 20_000


def refuse_from(call: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let publishing fail, from the given batch on, with this error."""
    calls = 0
    publish = FairDispatcher.publish

    async def refusing(self: FairDispatcher, messages: Any) -> list[str]:
        nonlocal calls
        calls += 1
        if calls >= call:
            raise error
        return await publish(self, messages)

    monkeypatch.setattr(FairDispatcher, "publish", refusing)


def test_a_broker_that_is_full_ends_the_run_with_the_line_to_go_on_at(
    commands: MemoryCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_from(2, BrokerFull("no room"), monkeypatch)
    given = "".join(map(line, range(2 * BATCH_MESSAGES)))
    result = commands("publish", "-", "--json", given=given)
    assert (result.exit_code, result.stderr) == (3, "fairdispatch: no room\n")
    (outcome,) = documents(result.stdout)
    assert outcome["published"] == BATCH_MESSAGES
    assert (outcome["next_line"], outcome["error"]) == (BATCH_MESSAGES + 1, "no room")


def test_lines_of_a_batch_that_was_stored_in_part_are_told_apart(
    commands: MemoryCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejected: dict[int, DispatcherError] = {2: BrokerFull("no room")}
    refuse_from(1, PublishFailed({0: "a", 3: "b"}, rejected, [1, 4]), monkeypatch)
    given = "\n" + "".join(map(line, range(5)))
    result = commands("publish", "-", given=given)
    assert result.exit_code == 3
    assert "published 2 messages" in result.stdout
    assert "not known whether 2 of the lines 3–6 are stored" in result.stdout
    assert "go on at line 3" in result.stdout


def test_a_broker_that_is_away_from_the_start_is_summed_up_too(
    commands: MemoryCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: FairDispatcher) -> None:
        raise BrokerUnavailable("away")

    monkeypatch.setattr(FairDispatcher, "open", refuse)
    result = commands("publish", "-", "--json", given=line())
    assert (result.exit_code, result.stderr) == (3, "fairdispatch: away\n")
    (outcome,) = documents(result.stdout)
    assert (outcome["published"], outcome["next_line"], outcome["error"]) == (0, 1, "away")


@pytest.mark.parametrize("command", [("publish", "-"), ("work", "--handler", "a:b")])
@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({"BROKER": "memory"}, ()),
        ({"BROKER": "redis"}, ("--broker", "memory")),
        ({"BROKER": "redis", "REDIS_URL": "embedded:"}, ()),
        ({"BROKER": "redis"}, ("--url", "embedded:")),
    ],
)
def test_a_broker_that_ends_with_the_process_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    variables: dict[str, str],
    options: tuple[str, ...],
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    result = CliRunner().invoke(app, [*command, *options], input=line())
    assert (result.exit_code, result.stdout) == (2, "")
    assert "for one process" in result.stderr


@pytest.mark.parametrize("name", ["nowhere.ndjson", "."])
def test_a_file_that_is_none_is_wrong_usage(commands: MemoryCommands, tmp_path: Path, name: str) -> None:
    result = commands("publish", str(tmp_path / name))
    assert result.exit_code == 2
    assert "FILE" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_file_that_fails_while_it_is_read_ends_the_run(commands: MemoryCommands) -> None:
    result = commands("publish", "/proc/self/mem")  # reading it at 0 fails on every Linux
    assert result.exit_code == 1
    assert result.stderr == "fairdispatch: /proc/self/mem, can't be read: Input/output error\n"
    assert "published 0 messages" in result.stdout
