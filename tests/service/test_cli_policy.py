"""`policy` sets, shows and removes what the dispatcher keeps."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from broker_core import CustomerPolicy
from tests.service.command_line import MemoryCommands


def stored(commands: MemoryCommands, customer: str = "acme") -> CustomerPolicy | None:
    return commands.do(lambda dispatcher: dispatcher.get_policy(customer))


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        (("--weight", "3"), CustomerPolicy(weight=3)),
        (("--paused",), CustomerPolicy(paused=True)),
        (("--no-paused", "--weight", "1000"), CustomerPolicy(weight=1000, paused=False)),
    ],
)
def test_what_is_set_is_stored_and_shown(
    commands: MemoryCommands, options: tuple[str, ...], policy: CustomerPolicy
) -> None:
    document = {"customer": "acme", "policy": asdict(policy)}
    assert commands.json("policy", "set", "acme", *options) == document
    assert stored(commands) == policy
    assert commands.json("policy", "get", "acme") == document


def test_setting_replaces_the_record(commands: MemoryCommands) -> None:
    commands.done("policy", "set", "acme", "--weight", "3")
    commands.done("policy", "set", "acme", "--paused")
    assert stored(commands) == CustomerPolicy(paused=True)


def test_a_policy_is_shown_for_people(commands: MemoryCommands) -> None:
    commands.done("policy", "set", "acme", "--weight", "3", "--paused")
    rows = [line.split() for line in commands.done("policy", "get", "acme").stdout.splitlines()[2:]]
    assert rows == [["weight", "3"], ["paused", "True"]]


def test_removing_ends_the_record_also_where_there_is_none(commands: MemoryCommands) -> None:
    commands.done("policy", "set", "acme", "--weight", "3")
    assert commands.json("policy", "remove", "acme") == {"customer": "acme", "policy": None}
    assert stored(commands) is None
    assert commands.done("policy", "remove", "acme").stdout == "acme has no policy: the defaults apply\n"
    assert commands.json("policy", "get", "acme") == {"customer": "acme", "policy": None}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ((), "give at least one"),
        (("--weight", "0"), "weight must be an int from 1 to 1000, not 0"),
        (("--weight", "1001"), "weight must be an int from 1 to 1000, not 1001"),
        (("--weight", "heavy"), "--weight"),
        (("--paused=maybe",), "--paused"),
    ],
)
def test_a_wrong_policy_changes_nothing(
    commands: MemoryCommands, options: tuple[str, ...], word: str
) -> None:
    result = commands("policy", "set", "acme", *options)
    assert result.exit_code == 2
    assert word in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert stored(commands) is None
