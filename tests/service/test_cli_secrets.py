"""No output of any command shows what a URL holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fair_dispatcher.cli import app
from tests.servers.redis_local import LocalRedis
from tests.service.command_line import run_process

SECRET = "canary"
AWAY = f"redis://user:{SECRET}@127.0.0.1:1/0"


def every_command(folder: Path) -> Iterator[tuple[str, ...]]:
    file = folder / "messages.ndjson"
    file.write_text('{"customer": "acme", "payload": "text"}\n')
    yield "publish", str(file)
    yield "publish", str(file), "--json"
    yield ("customers",)
    yield ("backlog",)
    yield "policy", "get", "acme"
    yield "policy", "set", "acme", "--weight", "2"
    yield "policy", "remove", "acme"
    yield "dead-letters", "list"
    yield "dead-letters", "redrive"
    yield "dead-letters", "purge", "--yes"
    yield "purge", "acme", "--yes"


def test_every_command_is_discreet_when_the_broker_is_away(tmp_path: Path) -> None:
    for arguments in every_command(tmp_path):
        result = CliRunner().invoke(app, [*arguments, "--broker", "redis", "--url", AWAY])
        # Only `publish` sums up what came of it, whatever the end.
        assert (result.exit_code, bool(result.stdout)) == (3, arguments[0] == "publish")
        assert len(result.stderr.splitlines()) == 1
        assert "reached" in result.stderr
        assert SECRET not in result.output


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (f"redis://:{SECRET}@127.0.0.1:port/0", 2),
        (f"redis://:{SECRET}@h..x:6379/0", 3),
        (f"postgres://user:{SECRET}@127.0.0.1/", 2),
        (f"embedded://{SECRET}@x", 2),
        (SECRET, 2),
    ],
)
def test_no_error_about_a_url_shows_what_it_holds(url: str, code: int) -> None:
    finished = CliRunner().invoke(app, ["backlog", "--broker", "redis", "--url", url])
    assert (finished.exit_code, len(finished.stderr.splitlines())) == (code, 1), finished.stderr
    assert SECRET not in finished.output


def test_a_refused_password_is_not_shown(redis7: LocalRedis) -> None:
    url = redis7.url.replace("redis://", f"redis://user:{SECRET}@")
    finished = run_process("backlog", environment={"BROKER": "redis", "REDIS_URL": url})
    assert (finished.returncode, finished.stdout) == (1, "")
    assert "refused the user name or password" in finished.stderr
    assert SECRET not in finished.stderr


@pytest.mark.parametrize("command", ["", "version", "backlog acme", "policy set acme --weight"])
def test_a_url_in_the_wrong_place_is_not_shown(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), AWAY])
    assert result.exit_code == 2
    assert SECRET not in result.output
