"""What tests of the command line share."""

from __future__ import annotations

import itertools
import os

import pytest

from tests.service.command_line import MemoryCommands, plain_environment

_numbers = itertools.count()


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> MemoryCommands:
    """Commands on an empty namespace in memory."""
    for variable in os.environ.keys() - plain_environment().keys():
        monkeypatch.delenv(variable)
    return MemoryCommands(f"commands-{next(_numbers)}")
