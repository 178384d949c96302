"""The command line as a process: on a real server, in pipes, on a terminal, interrupted."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.servers.redis_local import LocalRedis, wheel_valkey
from tests.service.command_line import PROGRAM, SECONDS, documents, plain_environment, run_process

LINE = b'{"customer": "acme", "payload": "text"}\n'


class Commands:
    """Runs commands as processes, on one namespace of a server."""

    def __init__(self, server: LocalRedis, namespace: str) -> None:
        self.environment = plain_environment() | {
            "BROKER": "redis",
            "REDIS_URL": server.url,
            "FAIRDISPATCH_NAMESPACE": namespace,
        }

    def __call__(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[str]:
        return run_process(*arguments, given=given, environment=self.environment)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one with pipes."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*PROGRAM, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, env=self.environment, bufsize=0
        )

    def ready(self) -> int:
        return int(json.loads(self("backlog", "--json").stdout)["ready"])

    def wait_for(self, ready: int) -> None:
        end = time.monotonic() + SECONDS
        while self.ready() != ready:
            assert time.monotonic() < end


@pytest.fixture
def commands(redis7: LocalRedis, request: pytest.FixtureRequest) -> Commands:
    return Commands(redis7, f"cli-{abs(hash(request.node.name))}")


def test_what_one_process_publishes_others_see_and_remove(commands: Commands) -> None:
    published = commands("publish", "-", "--json", given=LINE * 3)
    assert (published.returncode, published.stderr) == (0, "")
    assert documents(published.stdout)[0]["published"] == 3
    assert documents(commands("customers", "--json").stdout) == [
        {"customer": "acme", "ready": 3, "leased": 0, "delayed": 0, "dead": 0}
    ]
    assert commands("policy", "set", "acme", "--weight", "3").returncode == 0
    assert '"weight": 3' in commands("policy", "get", "acme", "--json").stdout
    assert documents(commands("purge", "acme", "--yes", "--json").stdout) == [
        {"customer": "acme", "purged": 3}
    ]
    assert commands("policy", "remove", "acme").returncode == 0
    assert commands("customers", "--json").stdout == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_publish_keeps_and_reports_what_came_before(
    commands: Commands, number: signal.Signals
) -> None:
    publishing = commands.start("publish", "-", "--json")
    assert publishing.stdin is not None
    publishing.stdin.write(LINE * 3)
    commands.wait_for(3)
    publishing.send_signal(number)
    # The pipe is still open: reading it must not hold up the end.
    assert publishing.wait(SECONDS) == 130
    output, errors = publishing.communicate()
    assert errors == b"fairdispatch: interrupted\n"
    (outcome,) = documents(output.decode())
    assert (outcome["published"], outcome["next_line"], outcome["error"]) == (3, 4, "interrupted")
    assert commands.ready() == 3


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_reader_that_goes_away_is_no_error_to_talk_about(
    commands: Commands, options: tuple[str, ...]
) -> None:
    lines = b"".join(LINE.replace(b"acme", b"%0200d" % number) for number in range(1000))
    assert commands("publish", "-", given=lines).returncode == 0
    with commands.start("customers", "--all", *options) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.read(1)
        listing.stdout.close()
        assert listing.stderr.read() == b""
    assert listing.returncode == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_is_said(commands: Commands) -> None:
    with open("/dev/full", "wb") as full:
        finished = subprocess.run(
            [*PROGRAM, "backlog"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=commands.environment,
            timeout=SECONDS,
        )
    assert finished.returncode == 1
    assert finished.stderr == b"fairdispatch: input or output failed: No space left on device\n"


@pytest.mark.parametrize(
    ("number", "arguments", "code"),
    [(0, "publish -", 1), (0, "purge acme", 2), (1, "backlog", 0), (2, "oops", 2)],
)
def test_closed_standard_streams_are_survived(
    commands: Commands, number: int, arguments: str, code: int
) -> None:
    finished = subprocess.run(
        ["sh", "-c", f'"$@" {number}>&-', "sh", *PROGRAM, *arguments.split()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=commands.environment,
        timeout=SECONDS,
        check=False,
    )
    assert finished.returncode == code
    assert len(finished.stderr.splitlines()) == (number == 0)


def test_a_server_that_dies_ends_the_run_with_the_lines_to_go_on_at() -> None:
    server = LocalRedis(wheel_valkey())
    server.start()
    try:
        commands = Commands(server, "mortal")
        publishing = commands.start("publish", "-", "--json")
        assert publishing.stdin is not None
        publishing.stdin.write(LINE * 2)
        commands.wait_for(2)
        server.kill()
        output, errors = publishing.communicate(LINE, timeout=SECONDS)
    finally:
        server.stop()
    assert publishing.returncode == 3
    assert len(errors.decode().splitlines()) == 1
    (outcome,) = documents(output.decode())
    assert (outcome["published"], outcome["next_line"]) == (2, 3)
    assert outcome["unknown_lines"] in ([], [3])


def on_terminal(commands: Commands, *arguments: str, answer: bytes | signal.Signals = b"") -> tuple[int, str]:
    """Run with a terminal for all standard streams; answer the question if there is one.

    Returns the exit code and what the terminal showed.
    """
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=commands.environment | {"TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(slave)
    shown, asked = b"", False
    while select.select([master], [], [], SECONDS)[0]:
        try:
            shown += os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if b"[y/N]" in shown and not asked:
            asked = True
            if isinstance(answer, bytes):
                os.write(master, answer)
            else:
                process.send_signal(answer)
    os.close(master)
    return process.wait(SECONDS), shown.decode()


def test_a_terminal_shows_a_bar_and_broken_lines(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "messages.ndjson"
    file.write_bytes(LINE * 1000 + b"?\n" + LINE * 1000)
    code, shown = on_terminal(commands, "publish", str(file), "--on-error", "skip")
    assert code == 1
    assert "━" in shown
    assert "2,000 messages" in shown
    assert "line 1001 skipped: not JSON" in shown
    assert "published 2,000 messages in" in shown.splitlines()[-1]
    assert commands.ready() == 2000


@pytest.mark.parametrize(
    ("answer", "code", "left"), [(b"n\n", 1, 2), (b"\n", 1, 2), (signal.SIGINT, 130, 2), (b"y\n", 0, 0)]
)
def test_purge_asks_on_a_terminal(
    commands: Commands, answer: bytes | signal.Signals, code: int, left: int
) -> None:
    commands("publish", "-", given=LINE * 2)
    returned, shown = on_terminal(commands, "purge", "acme", answer=answer)
    assert "Remove 2 ready, 0 delayed and 0 leased messages of acme for good? [y/N]" in shown
    assert ("purged 2 messages" in shown, returned) == (code == 0, code)
    assert commands.ready() == left
