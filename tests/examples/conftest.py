"""Runs the examples as programs, on a namespace of a real server."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from broker_core import FairDispatcher, open_dispatcher
from tests.servers.redis_local import LocalRedis

FOLDER = Path(__file__).resolve().parents[2] / "examples"

_numbers = itertools.count()


@dataclass(frozen=True)
class Stage:
    """A namespace: for programs by their environment, for the test as a dispatcher."""

    environment: dict[str, str]
    dispatcher: FairDispatcher
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, program: Path, *arguments: str) -> subprocess.Popen[str]:
        """Start a program with pipes."""
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, str(program), *arguments],
            env=self.environment,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        self.processes.append(process)
        return process

    def run(self, program: Path, *arguments: str) -> str:
        """Run a program to its good end and return what it printed."""
        process = self.start(program, *arguments)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
        return output


@pytest.fixture
async def stage(redis7: LocalRedis) -> AsyncIterator[Stage]:
    """An empty namespace; leases are short, since a test waits for one to end."""
    configuration = {
        "BROKER": "redis",
        "REDIS_URL": redis7.url,
        "FAIRDISPATCH_NAMESPACE": f"example-{next(_numbers)}",
        "FAIRDISPATCH_LEASE_SECONDS": "1",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAIRDISPATCH_")}
    namespace = configuration["FAIRDISPATCH_NAMESPACE"]
    async with open_dispatcher("redis", redis7.url, namespace=namespace, lease_seconds=1.0) as dispatcher:
        stage = Stage(kept | configuration, dispatcher)
        yield stage
    for process in stage.processes:
        with process:
            process.kill()
