"""What happens to the file and its disk, which the contract knows nothing of, in the contract's words."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker_core import Backlog, FairDispatcher, Message, open_dispatcher
from broker_core.conformance.harness import Harness
from broker_core.errors import BrokerFull, BrokerUnavailable, ConfigurationError

SECONDS = 0.2


def dispatcher_over(folder: Path, namespace: str = "sms") -> FairDispatcher:
    """Make a dispatcher that doesn't wait for long."""
    return open_dispatcher(
        broker="sqlite", url=f"sqlite:{folder}", namespace=namespace, timeout_seconds=SECONDS
    )


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep every other connection from writing."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


async def test_a_locked_file_is_unavailable_for_now(tmp_path: Path) -> None:
    """Nobody waits for another process for longer than was set."""
    async with dispatcher_over(tmp_path) as dispatcher:
        with locked(tmp_path / "sms.db"):
            for verb in (dispatcher.publish(Message("a")), dispatcher.receive(), dispatcher.backlog()):
                with pytest.raises(BrokerUnavailable) as error:
                    await verb
                assert error.value.retryable
                assert isinstance(error.value.__cause__, sqlite3.OperationalError)
        assert await dispatcher.backlog() == Backlog()


async def test_a_waiting_receive_outlives_a_lock(tmp_path: Path) -> None:
    """receive fails when the file is locked for the whole wait, and not before."""
    async with dispatcher_over(tmp_path) as dispatcher:
        with locked(tmp_path / "sms.db"):
            waiting = asyncio.ensure_future(dispatcher.receive(1, wait=30))
            with pytest.raises(BrokerUnavailable):
                await dispatcher.receive(1, wait=2 * SECONDS)
        await dispatcher.publish(Message("a"))
        assert len(await waiting) == 1


async def test_closing_does_not_wait_for_a_lock(tmp_path: Path) -> None:
    """close is quick though the thread waits for another process; the file is closed after that."""
    dispatcher = open_dispatcher(broker="sqlite", url=f"sqlite:{tmp_path}", timeout_seconds=3)
    await dispatcher.open()
    with locked(tmp_path / "default.db"):
        waiting = asyncio.ensure_future(dispatcher.backlog())
        await asyncio.sleep(0.05)
        before = time.monotonic()
        await dispatcher.close()
        assert time.monotonic() - before < 2
    assert await waiting == Backlog()


async def test_a_full_disk_refuses_messages_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publishing without room is BrokerFull and stores nothing; consuming makes room."""
    connect = sqlite3.connect

    def connect_to_a_small_disk(file: Path, **settings: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(file, **settings)
        connection.execute("PRAGMA max_page_count = 50")
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_to_a_small_disk)
    batch = [Message("a", bytes(1000)) for _ in range(50)]
    async with dispatcher_over(tmp_path) as dispatcher:
        await dispatcher.publish(batch)
        with pytest.raises(BrokerFull) as error:
            await dispatcher.publish([*batch, *batch, *batch])
        assert error.value.retryable
        assert await dispatcher.backlog() == Backlog(ready=50)
        await dispatcher.ack(await dispatcher.receive(50))
        await dispatcher.publish(batch)


async def test_what_cannot_be_used_is_told_when_it_is_opened(tmp_path: Path) -> None:
    """A missing folder and a file of something else are no reason to try again."""
    (tmp_path / "text.db").write_text("no database at all, but longer than a header is" * 10)
    for folder, namespace in ((tmp_path / "missing", "sms"), (tmp_path, "text")):
        with pytest.raises(BrokerUnavailable) as error:
            await dispatcher_over(folder, namespace).open()
        assert not error.value.retryable
    for wrong in ({"url": "redis://localhost"}, {"client": object()}, {"synchronous": "OFF"}):
        with pytest.raises(ConfigurationError):
            open_dispatcher(broker="sqlite", **wrong)


async def test_namespaces_that_differ_in_case_have_different_files(harness: Harness, tmp_path: Path) -> None:
    """Some file systems take sms.db and SMS.db for one file."""
    for namespace in ("sms", "SMS"):
        await (await harness.open(namespace)).publish(Message("a"))
    assert {name for name in os.listdir(tmp_path) if name.endswith(".db")} == {"sms.db", "+s+m+s.db"}
