"""`dead-letters` lists, redrives and removes; `purge` removes what is not dead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker_core import FairDispatcher
from tests.service.command_line import MemoryCommands, documents


def listed(commands: MemoryCommands, *arguments: str) -> list[dict[str, Any]]:
    return documents(commands.done("dead-letters", "list", *arguments, "--json").stdout)


def test_a_dead_letter_is_described_without_its_payload(commands: MemoryCommands) -> None:
    commands.bury("acme", b"canary", reason="bad number", headers={"k": "v"}, id="order-17", cost=3)
    (letter,) = listed(commands)
    moments = [datetime.fromisoformat(letter.pop(name)) for name in ("published_at", "died_at")]
    assert all(timedelta() <= datetime.now(UTC) - moment < timedelta(minutes=1) for moment in moments)
    assert letter.pop("id")
    assert letter == {
        "customer": "acme",
        "attempts": 1,
        "reason": "bad number",
        "message_id": "order-17",
        "cost": 3,
        "headers": {"k": "v"},
    }
    output = commands.done("dead-letters", "list").stdout
    assert "bad number" in output
    assert "canary" not in output


def test_payloads_are_printed_where_they_are_asked_for(commands: MemoryCommands) -> None:
    commands.bury("acme", "سلام".encode(), b"\xff\x00")
    text, binary = listed(commands, "--payload")
    assert (text["payload"], "payload_base64" in text) == ("سلام", False)
    assert (binary["payload_base64"], "payload" in binary) == ("/wA=", False)
    output = commands.done("dead-letters", "list", "--payload").stdout
    assert "سلام" in output
    assert "\\xff\\x00" in output


def test_reasons_cannot_command_a_terminal(commands: MemoryCommands) -> None:
    commands.bury("acme", b"", reason="a\x1b[31m\nb")
    assert "a\\x1b[31m\\nb" in commands.done("dead-letters", "list").stdout
    assert listed(commands)[0]["reason"] == "a\x1b[31m\nb"


def test_dead_letters_of_one_customer_up_to_a_limit_or_all(commands: MemoryCommands) -> None:
    commands.bury("acme", *[b""] * 60)
    commands.bury("shop", b"")
    assert {letter["customer"] for letter in listed(commands, "shop")} == {"shop"}
    assert len(listed(commands, "--all")) == 61
    result = commands("dead-letters", "list", "acme")
    assert result.stderr == "fairdispatch: these are 50, but there are more: --all lists them\n"
    assert len(result.stdout.splitlines()) == 2 + 50


def test_redriving_one_some_and_all(commands: MemoryCommands) -> None:
    commands.bury("acme", b"1", b"2", b"3", b"4")
    commands.bury("shop", b"5")
    ids = [letter["id"] for letter in listed(commands, "acme")]
    result = commands.json("dead-letters", "redrive", "acme", "--id", ids[1], "--id", ids[2], "--id", "none")
    assert result == {"customer": "acme", "redriven": 2}
    assert [message.payload for message in commands.take()] == [b"2", b"3"]
    assert commands.done("dead-letters", "redrive").stdout == "redriven 3 dead letters of all customers\n"
    assert {message.payload for message in commands.take()} == {b"1", b"4", b"5"}
    assert commands.json("dead-letters", "redrive") == {"customer": None, "redriven": 0}


def test_removing_dead_letters(commands: MemoryCommands) -> None:
    commands.bury("acme", b"1", b"2")
    commands.bury("shop", b"3")
    commands.publish("acme", b"alive")
    chosen = listed(commands, "acme")[0]["id"]
    assert commands.json("dead-letters", "purge", "acme", "--id", chosen, "--yes") == {
        "customer": "acme",
        "purged": 1,
    }
    assert [letter["payload"] for letter in listed(commands, "--payload")] == ["2", "3"]
    output = commands.done("dead-letters", "purge", "--yes").stdout
    assert output == "purged 2 dead letters of all customers\n"
    assert listed(commands) == []
    assert [message.payload for message in commands.take()] == [b"alive"]


def test_an_id_without_its_customer_is_wrong_usage(commands: MemoryCommands) -> None:
    for verb in ("redrive", "purge"):
        result = commands("dead-letters", verb, "--id", "1-0")
        assert result.exit_code == 2
        assert "name the customer too" in result.stderr


def test_purge_removes_what_is_not_dead(commands: MemoryCommands) -> None:
    commands.bury("acme", b"dead")
    commands.publish("acme", b"", b"", b"")
    commands.publish("shop", b"")

    async def delay_one(dispatcher: FairDispatcher) -> None:
        await dispatcher.nack((await dispatcher.receive(1))[0], delay=60)

    commands.do(delay_one)
    assert commands.json("purge", "acme", "--yes") == {"customer": "acme", "purged": 3}
    counts = {"ready": 0, "leased": 0, "delayed": 0, "dead": 1}
    assert commands.json("backlog", "acme") == {"customer": "acme", **counts}
    assert commands.json("backlog", "shop")["ready"] == 1
    assert commands.done("purge", "acme", "--yes").stdout == "purged 0 messages of acme\n"


@pytest.mark.parametrize(
    "command", [("purge", "acme"), ("dead-letters", "purge"), ("dead-letters", "purge", "acme")]
)
def test_without_a_terminal_nothing_is_removed_unasked(
    commands: MemoryCommands, command: tuple[str, ...]
) -> None:
    commands.publish("acme", b"")
    commands.bury("acme", b"")
    before = commands.json("backlog")
    result = commands(*command, given="y\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--yes" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert commands.json("backlog") == before
