"""Every decision record has the form of the template, names things that exist, and is in the index."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest

from scripts.quotes import quotes_in

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "adr"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))
KEYS = ["id", "status", "date", "evidence", "review"]
STATUS = re.compile(r"proposed|accepted|rejected|superseded by (\d{4})")
KINDS = {"measured", "read in source", "claimed by vendor", "assumed"}
FOLDERS = "adapters|bench|broker_core|compose|docs|examples|scripts|service|tests"
PATH = re.compile(rf"({FOLDERS})(/[\w.-]+)+")

each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)


def front_matter(text: str) -> dict[str, str]:
    match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert match, "no front matter"
    return dict(line.split(": ", 1) for line in match[1].splitlines())


def headings(text: str) -> list[str]:
    return re.findall(r"^## (.*)$", text, re.MULTILINE)


def section(text: str, heading: str) -> str:
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def rows(table: str) -> list[list[str]]:
    """Return the cells of each row of the first table, without its two heading lines."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_there_are_records_with_one_number_each() -> None:
    numbers = [int(record.name[:4]) for record in RECORDS]
    assert numbers == list(range(1, len(numbers) + 1))


@each_record
def test_front_matter_is_complete(record: Path) -> None:
    fields = front_matter(record.read_text("utf-8"))
    assert list(fields) == KEYS
    assert fields["id"] == record.name[:4]
    datetime.date.fromisoformat(fields["date"])
    status = STATUS.fullmatch(fields["status"])
    assert status
    if status[1]:
        assert list(FOLDER.glob(f"{status[1]}-*.md"))
    assert all(fields.values())


@each_record
def test_sections_are_those_of_the_template(record: Path) -> None:
    text = record.read_text("utf-8")
    assert headings(text) == headings((FOLDER / "template.md").read_text("utf-8"))
    for heading in headings(text):
        assert section(text, heading).strip(), f"{heading} is empty"


@each_record
def test_decision_is_said_first_with_reason_and_price(record: Path) -> None:
    start = record.read_text("utf-8").split("\n## ", 1)[0]
    assert re.search(r"^# [A-Z].*\n\n\*\*Decision\*\*: ", start, re.MULTILINE)
    reason, price = start.find("**Because** "), start.find("**Accepting** ")
    assert 0 < reason < price


@each_record
def test_one_option_was_chosen_among_several(record: Path) -> None:
    options = rows(section(record.read_text("utf-8"), "Options"))
    assert len(options) > 1
    assert any("**" in row[0] + row[1] for row in options)


@each_record
def test_measured_evidence_has_a_command(record: Path) -> None:
    evidence = rows(section(record.read_text("utf-8"), "Evidence"))
    assert evidence
    for row in evidence:
        _, _, command, _, _, kind = row
        assert kind in KINDS
        assert kind != "measured" or "`" in command or "the same" in command, row


@each_record
def test_a_benchmark_s_figure_is_quoted_from_a_file_of_results(record: Path) -> None:
    """Where it is, `test_quotes.py` compares it with that file."""
    measured, file = "", ""
    for _, value, command, raw, _, kind in rows(section(record.read_text("utf-8"), "Evidence")):
        measured = command if command != "the same" else measured
        file = raw if raw != "the same" else file
        if kind == "measured" and "python -m bench" in measured and re.search(r"\d", value):
            assert "docs/benchmarks/" in file, f"{value}: no file of results"
            assert list(quotes_in(value)) or "fails otherwise" in command, f"{value} isn't quoted"


@each_record
def test_files_that_are_named_exist(record: Path) -> None:
    for quoted in re.findall(r"`([^`\n]+)`", record.read_text("utf-8")):
        for word in quoted.split():
            if PATH.fullmatch(word):
                assert (ROOT / word).exists(), word


@each_record
def test_nothing_is_left_to_fill_in(record: Path) -> None:
    assert not re.search(r"@@|\bTODO\b|\bTBD\b", record.read_text("utf-8"))


def test_index_lists_every_record_with_title_and_status() -> None:
    listed = rows((FOLDER / "README.md").read_text("utf-8"))
    expected = []
    for record in RECORDS:
        text = record.read_text("utf-8")
        title = re.search(r"^# (.*)$", text, re.MULTILINE)
        assert title
        expected.append([record.name[:4], f"[{title[1]}]({record.name})", front_matter(text)["status"]])
    assert listed == expected
