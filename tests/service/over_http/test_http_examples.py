"""The examples in other languages do what they say, against a running service."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from broker_core import Backlog, Message
from broker_core.conformance.polling import Deadline
from tests.service.over_http.brokers import Place
from tests.service.over_http.serving import serving

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "http"


async def output_of(program: list[str], environment: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *program,
        env=dict(os.environ) | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode() + output.decode()
    assert errors == b""
    return output.decode()


async def test_curl(on_each: Place, tmp_path: Path, deadline: Deadline) -> None:
    with serving(on_each, tmp_path) as served:
        async with (
            served.client(deadline, "publish", "consume") as client,
            on_each.dispatcher() as dispatcher,
        ):
            key = client.headers["authorization"].split()[1]
            environment = {"SERVICE_URL": str(client.base_url).rstrip("/"), "API_KEY": key}
            output = await output_of([str(FOLDER / "curl.sh")], environment)
            lines = output.splitlines()
            begins = ['{"id":', '{"line":1,"id":', '{"line":2,"id":']
            assert [
                begin for begin, line in zip(begins, lines, strict=False) if line.startswith(begin)
            ] == begins
            assert '"payload":"hello"' in lines[3]
            assert lines[4].endswith('"lost":[]}')
            assert await dispatcher.backlog() == Backlog()


@pytest.mark.parametrize("program", [["python", "consumer.py"], ["node", "consumer.mjs"]])
async def test_consumers(on_each: Place, tmp_path: Path, deadline: Deadline, program: list[str]) -> None:
    language, file = program
    found = sys.executable if language == "python" else shutil.which(language)
    if found is None:
        pytest.skip(f"{language} is not installed")
    with serving(on_each, tmp_path) as served:
        async with served.client(deadline, "consume") as client, on_each.dispatcher() as dispatcher:
            await dispatcher.publish([Message(f"c{n % 5}", b"text %d" % n) for n in range(250)])
            key = client.headers["authorization"].split()[1]
            environment = {"SERVICE_URL": str(client.base_url).rstrip("/"), "API_KEY": key}
            output = await output_of([found, str(FOLDER / file), "250"], environment)
            lines = sorted(output.splitlines())
            assert lines == sorted(f"c{n % 5}: text {n} (attempt 1)" for n in range(250))
            assert await dispatcher.backlog() == Backlog()
