"""The examples do what they say."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from broker_core import Backlog, Message
from tests.examples.conftest import FOLDER, Stage

SECONDS = 60.0

# What a process does that dies after its effect and before its ack.
DIE_AFTER_EFFECT = """
import asyncio, os, signal, sys
sys.path.insert(0, {folder!r})
import idempotent_handler as example

charge = example.charge

def charge_and_die(database, delivery):
    charge(database, delivery)
    os.kill(os.getpid(), signal.SIGKILL)

example.charge = charge_and_die
asyncio.run(example.main(sys.argv[1]))
"""


def charges(database: Path) -> dict[str, int]:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        return dict(connection.execute("SELECT customer, units FROM charges"))


async def until_empty(stage: Stage) -> None:
    async with asyncio.timeout(SECONDS):
        while await stage.dispatcher.backlog() != Backlog():  # noqa: ASYNC110 - another process empties it
            await asyncio.sleep(0.05)


async def end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[str, str]:
    process.send_signal(number)
    # Not communicate(): it leaves out what readline() has buffered already. Errors are few and fit the pipe.
    assert process.stdout is not None
    assert process.stderr is not None
    output = await asyncio.to_thread(process.stdout.read)
    errors = await asyncio.to_thread(process.stderr.read)
    await asyncio.to_thread(process.wait, timeout=SECONDS)
    return output, errors


async def test_minimal(stage: Stage) -> None:
    assert await asyncio.to_thread(stage.run, FOLDER / "minimal.py") == "acme hello\n"
    assert await stage.dispatcher.backlog() == Backlog()


async def test_own_client(stage: Stage) -> None:
    assert await asyncio.to_thread(stage.run, FOLDER / "own_client.py") == "acme has 99 left\n"
    assert await stage.dispatcher.backlog() == Backlog()


async def test_the_effect_happens_once_though_the_process_dies_before_its_ack(
    stage: Stage, tmp_path: Path
) -> None:
    database = tmp_path / "accounts.db"
    program = tmp_path / "die_after_effect.py"
    program.write_text(DIE_AFTER_EFFECT.format(folder=str(FOLDER)))
    await stage.dispatcher.publish(Message("acme", b"text", cost=3))

    dying = stage.start(program, str(database))
    _, errors = await asyncio.to_thread(dying.communicate, timeout=SECONDS)
    assert (dying.returncode, errors) == (-signal.SIGKILL, "")
    assert charges(database) == {"acme": 3}
    backlog = await stage.dispatcher.backlog()
    assert backlog.ready + backlog.leased == 1  # it was not acked: it comes again

    stage.start(FOLDER / "idempotent_handler.py", str(database))
    await until_empty(stage)
    assert charges(database) == {"acme": 3}

    await stage.dispatcher.publish([Message("acme", b"text", cost=4), Message("shop", b"text")])
    await until_empty(stage)
    assert charges(database) == {"acme": 7, "shop": 1}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_graceful_shutdown(stage: Stage, number: signal.Signals) -> None:
    await stage.dispatcher.publish([Message("acme", b"%d" % n) for n in range(20)])
    process = stage.start(FOLDER / "graceful_shutdown.py")
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "working\n"
    first = await asyncio.to_thread(process.stdout.readline)
    begun = time.monotonic()
    output, errors = await end(process, number)
    assert time.monotonic() - begun < 8
    assert (process.returncode, errors) == (0, "")
    *handled, last = output.splitlines()
    assert last == "ended"
    # What was handled is gone; all else waits, with no attempt counted. Four are handled at a time, so
    # they begin in the order of publishing, but may end in another.
    handled.insert(0, first.strip())
    assert sorted(handled) == sorted(f"handled {n}" for n in range(len(handled)))
    assert len(handled) < 20
    rest = await stage.dispatcher.receive(100)
    assert [delivery.message.payload for delivery in rest] == [b"%d" % n for n in range(len(handled), 20)]
    assert {delivery.attempt for delivery in rest} == {1}
    await stage.dispatcher.ack(rest)
    assert await stage.dispatcher.backlog() == Backlog()


def test_every_example_is_listed() -> None:
    readme = (FOLDER / "README.md").read_text()
    for file in FOLDER.glob("*.py"):
        assert f"[{file.name}]({file.name})" in readme
