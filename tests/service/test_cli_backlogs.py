"""`customers` and `backlog` count what is there."""

from __future__ import annotations

import pytest

from broker_core import CustomerPolicy, Message
from tests.service.command_line import MemoryCommands, documents

EMPTY = {"ready": 0, "leased": 0, "delayed": 0, "dead": 0}


def cells(output: str) -> list[list[str]]:
    """The words of a table's rows, without headings and rule."""
    return [line.split() for line in output.splitlines()[2:]]


def test_backlog_of_the_namespace_and_of_a_customer(commands: MemoryCommands) -> None:
    commands.bury("grave", b"", b"")
    commands.publish("acme", *[b""] * 1200)
    commands.publish("shop", b"")
    assert cells(commands.done("backlog").stdout) == [["1,201", "0", "0", "2"]]
    assert cells(commands.done("backlog", "acme").stdout) == [["1,200", "0", "0", "0"]]
    assert commands.json("backlog") == {"customer": None, **EMPTY, "ready": 1201, "dead": 2}
    assert commands.json("backlog", "grave") == {"customer": "grave", **EMPTY, "dead": 2}
    assert commands.json("backlog", "nobody") == {"customer": "nobody", **EMPTY}


def test_customers_are_listed_with_backlogs_and_policies(commands: MemoryCommands) -> None:
    commands.publish("acme", b"", b"")
    commands.do(lambda dispatcher: dispatcher.set_policy("paused", CustomerPolicy(paused=True)))
    listed = documents(commands.done("customers", "--json").stdout)
    assert sorted(listed, key=str) == [
        {"customer": "acme", **EMPTY, "ready": 2},
        {"customer": "paused", **EMPTY},
    ]
    rows = cells(commands.done("customers").stdout)
    assert sorted(rows) == [["0", "0", "0", "0", "paused"], ["2", "0", "0", "0", "acme"]]


def test_a_limit_is_kept_and_said(commands: MemoryCommands) -> None:
    for number in range(5):
        commands.publish(f"customer-{number}", b"")
    result = commands("customers", "--limit", "3", "--json")
    assert result.exit_code == 0
    assert len(documents(result.stdout)) == 3
    assert result.stderr == "fairdispatch: these are 3, but there are more: --all lists them\n"
    assert len(documents(commands.done("customers", "--limit", "5", "--json").stdout)) == 5


def test_all_pages_are_listed_under_one_heading(commands: MemoryCommands) -> None:
    messages = [Message(f"customer-{number:04}") for number in range(2500)]
    commands.do(lambda dispatcher: dispatcher.publish(messages))
    rows = cells(commands.done("customers", "--all").stdout)
    assert sorted(row[-1] for row in rows) == [f"customer-{number:04}" for number in range(2500)]
    assert len({len(row) for row in rows}) == 1
    assert len(documents(commands.done("customers", "--all", "--json").stdout)) == 2500


def test_nothing_is_listed_as_headings_and_as_no_document(commands: MemoryCommands) -> None:
    assert "customer" in commands.done("customers").stdout
    assert cells(commands.done("customers").stdout) == []
    assert commands.done("customers", "--json").stdout == ""


def test_names_are_shown_in_full_and_cannot_command_a_terminal(commands: MemoryCommands) -> None:
    long, markup, bidi = "x" * 200, "[red]a[/red]", "a\u202eb"
    for name in (long, markup, bidi):
        commands.publish(name, b"")
    output = commands.done("customers").stdout
    assert long in output
    assert markup in output
    assert "a\\u202eb" in output
    assert "\u202e" not in output


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
def test_a_limit_out_of_range_is_wrong_usage(commands: MemoryCommands, limit: str) -> None:
    result = commands("customers", "--limit", limit)
    assert result.exit_code == 2
    assert "--limit" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_name_that_none_can_have_is_wrong_usage(commands: MemoryCommands) -> None:
    result = commands("backlog", "")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "fairdispatch: customer must have 1–200 characters, not 0\n"
