"""What tests of the command line share."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import pytest

from fair_dispatcher.commands.options import Target
from tests.servers.redis_local import LocalRedis
from tests.service.command_line import MemoryCommands, plain_environment
from tests.service.work_run import Workplace

_numbers = itertools.count()


def pytest_configure() -> None:
    # A shell starts what runs in the background with SIGINT ignored, which all commands would inherit.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> MemoryCommands:
    """Commands on an empty namespace in memory, which they share as they run in one process."""
    monkeypatch.setattr(Target, "in_one_process", False)
    for variable in os.environ.keys() - plain_environment().keys():
        monkeypatch.delenv(variable)
    return MemoryCommands(f"commands-{next(_numbers)}")


@pytest.fixture
def workplace(redis7: LocalRedis, tmp_path: Path) -> Workplace:
    """An empty namespace on a real server, for worker processes."""
    return Workplace(redis7.url, f"work-{next(_numbers)}", tmp_path / "records.ndjson")
