"""The help teaches: its examples run, its page is fresh, the shell completes, wrong usage is one line."""

from __future__ import annotations

import gzip
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker_core import Message, open_dispatcher
from broker_core.installed import adapter_names
from fair_dispatcher.cli import app
from fair_dispatcher.keys.file import KeyFile
from fair_dispatcher.keys.model import Key, Scope
from scripts.docs import command_line
from tests.servers.redis_local import LocalRedis
from tests.service.command_line import SECONDS, plain_environment, run_process

# They run for long and have tests of their own.
LONG = {"fairdispatch work", "fairdispatch serve", "fairdispatch demo"}
COMMANDS = dict(command_line.commands())
FUNCTION = 'fairdispatch() { "$PYTHON" -m fair_dispatcher "$@"; }\n'
PAGE = Path(__file__).resolve().parents[2] / "docs" / "command-line.md"
LINE = '{"customer": "acme", "payload": "text"}\n'


def examples(command: str) -> list[str]:
    """The commands among the examples of a help page."""
    begin, _, rest = (COMMANDS[command].epilog or "").partition("Examples:\n")
    lines = rest.partition("\n\n")[0].splitlines()
    assert begin == "\b\n"
    return [line.strip() for line in lines if not line.lstrip().startswith("#")]


def bash(script: str, environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", FUNCTION + script],
        cwd=folder,
        env=plain_environment() | {"PYTHON": sys.executable} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def key_with(id_: str) -> Key:
    return Key(id=id_, digest=bytes(32), scopes=frozenset({Scope.PUBLISH}), created=datetime.now(UTC))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_two_examples_that_call_it(command: str) -> None:
    assert sum(command in example for example in examples(command)) >= 2


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - LONG))
async def test_examples_run(command: str, redis7: LocalRedis, tmp_path: Path) -> None:
    namespace = "help-" + command.replace(" ", "-")
    async with open_dispatcher("redis", redis7.url, namespace=namespace) as dispatcher:
        await dispatcher.publish([Message("acme", b"text")] * 2)
        await dispatcher.dead_letter(await dispatcher.receive(1), "bad number")
    (tmp_path / "messages.ndjson").write_text(LINE)
    (tmp_path / "messages.ndjson.gz").write_bytes(gzip.compress(LINE.encode()))
    (tmp_path / "traffic.ndjson").write_text(LINE.replace("{", '{"at": 0.5, '))
    for id_ in ("0123456789ab", "ba9876543210"):
        KeyFile(tmp_path / "keys.json").add(key_with(id_))
    environment = {
        "BROKER": "redis",
        "REDIS_URL": redis7.url,
        "FAIRDISPATCH_NAMESPACE": namespace,
        "FAIRDISPATCH_SERVICE_KEY_FILE": "keys.json",
    }
    finished = bash("\n".join(examples(command)), environment, tmp_path)
    assert (finished.returncode, finished.stderr) == (0, ""), finished.stderr


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == command_line.page(), "run `make docs`"


@pytest.mark.parametrize("arguments", [(), ("policy",), ("dead-letters",)])
def test_a_group_without_a_command_shows_its_help(arguments: tuple[str, ...]) -> None:
    asked = CliRunner().invoke(app, [*arguments, "--help"])
    result = CliRunner().invoke(app, [*arguments])
    assert (result.exit_code, result.stderr, result.stdout) == (0, "", asked.stdout)
    assert "Commands:" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("custmers",), "No such command 'custmers'. Did you mean 'customers'? (`fairdispatch --help`"),
        (("policy", "sett"), "No such command 'sett'. Did you mean 'set'? (`fairdispatch policy --help`"),
        (("purge",), "Missing argument 'CUSTOMER'. (`fairdispatch purge --help`"),
        (("backlog", "--jsn"), "No such option: --jsn"),
        (("backlog", "--namespace"), "Option '--namespace' requires an argument."),
        (("publish", "-", "--on-error", "ignore"), "'ignore' is not one of 'stop', 'skip'"),
        (("version", "now"), "Got unexpected extra argument"),
    ],
)
def test_wrong_usage_is_said_in_one_line(arguments: tuple[str, ...], problem: str) -> None:
    result = CliRunner().invoke(app, arguments, prog_name="fairdispatch")
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("fairdispatch: ")
    assert problem in result.stderr


def completed(words: str) -> list[str]:
    finished = run_process(
        environment={
            "_FAIRDISPATCH_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout.split()


def test_the_shell_completes_commands_options_and_adapters() -> None:
    assert completed("fairdispatch pu") == ["publish", "purge"]
    assert completed("fairdispatch dead-letters re") == ["redrive"]
    assert completed("fairdispatch policy set acme --pa") == ["--paused"]
    assert completed("fairdispatch publish - --on-error s") == ["stop", "skip"]
    assert completed("fairdispatch customers --broker ") == adapter_names()
    assert completed("fairdispatch customers --broker me") == ["memory"]


def test_completion_is_shown_for_the_shell_that_asks(tmp_path: Path) -> None:
    script = 'eval "$(fairdispatch --show-completion)"\ncomplete -p fairdispatch'
    finished = bash(script, {}, tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.rstrip().endswith(" fairdispatch")
