"""The tests find an adapter for Redis that breaks the contract: each fault turns the named test red."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.conformance.redis_faults import FAULTS, Fault, broken_library
from tests.servers.redis_local import LocalRedis

ROOT = Path(__file__).resolve().parents[2]
_RUN_SECONDS = 100.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        short = metafunc.config.getoption("--conformance-size") == "short"
        metafunc.parametrize("fault", [name for name, it in FAULTS.items() if it.quick or not short])


def run(fault: str, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests against the adapter with that fault, in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-p", "tests.conformance.redis_faults", "-q", "-rfE"]
    return subprocess.run(
        [*command, "--redis-fault", fault, *dict.fromkeys(tests)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_RUN_SECONDS,
        check=False,
    )


def test_a_broken_adapter_is_found(redis7: LocalRedis, fault: str) -> None:
    del redis7  # asked for, so that a machine without it skips here and not in the other process
    red = FAULTS[fault].red
    finished = run(fault, red)
    output = finished.stdout + finished.stderr
    assert finished.returncode == 1, output
    assert f"FAILED {red}" in output, output
    assert FAULTS[fault].says in output, output


def test_the_sound_adapter_passes(redis7: LocalRedis, pytestconfig: pytest.Config) -> None:
    """The same tests under the same deadline, so that they were red for the right reason."""
    del redis7
    short = pytestconfig.getoption("--conformance-size") == "short"
    finished = run("none", *(it.red for it in FAULTS.values() if it.quick or not short))
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.parametrize("broken", FAULTS.values(), ids=FAULTS)
async def test_the_server_takes_every_broken_library(redis7: LocalRedis, broken: Fault) -> None:
    """So that a test isn't red just because the changed functions are no valid program."""
    library = broken_library(broken)
    async with Redis.from_url(redis7.url) as client:
        await client.function_load(library.source, replace=True)
        await client.function_delete(library.name)
