"""Compares frameworks and servers by POSTs of one small JSON message: `python -m bench.http.frameworks`.

Needs wrk, and fastapi, granian, httptools, litestar, starlette, uvicorn, uvloop. No broker is behind the
endpoint, so the numbers are what is left for everything else.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import machine, report
from tests.servers.redis_local import free_port

FRAMEWORKS = ("none", "starlette", "litestar", "fastapi")
SERVERS = ("uvicorn", "granian")
WRK_SCRIPT = """
wrk.method = "POST"
wrk.body = '{"payload": "' .. string.rep("x", 100) .. '", "cost": 1}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer fd_0123456789ab_0123456789abcdef0123456789abcdef"
"""


def command(server: str, framework: str, port: int) -> list[str]:
    target = f"bench.http.apps.with_{framework}:app"
    if server == "uvicorn":
        options = ["--port", str(port), "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
        return [sys.executable, "-m", "uvicorn", target, *options, "--log-level", "warning"]
    options = ["--port", str(port), "--interface", "asgi", "--loop", "uvloop", "--workers", "1"]
    return [sys.executable, "-m", "granian", target, *options, "--no-ws", "--log-level", "warning"]


@contextmanager
def serving(server: str, framework: str) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(command(server, framework, port))
    url = f"http://127.0.0.1:{port}/v1/customers/acme/messages"
    try:
        wait_until_it_answers(url)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def wait_until_it_answers(url: str) -> None:
    request = urllib.request.Request(  # the framework's own decoding has to work
        url, data=b'{"payload": "x"}', headers={"Content-Type": "application/json"}, method="POST"
    )
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                assert answer.status == 202
                assert "id" in json.load(answer)
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def measure(url: str, seconds: int, connections: int) -> float:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(WRK_SCRIPT)
        output = subprocess.run(
            [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, url],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    assert "Non-2xx" not in output, output
    found = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    assert found is not None, output
    return float(found[1])


def main(
    seconds: Annotated[int, typer.Option(min=1, help="Of each measurement.")] = 5,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    connections: Annotated[int, typer.Option(min=1)] = 32,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
) -> None:
    """Measure in turn, print a table, write JSON."""
    facts = {"started": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine.describe()}
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for server in SERVERS:
            for framework in FRAMEWORKS:
                with serving(server, framework) as url:
                    rate = measure(url, seconds, connections)
                found.setdefault((framework, server), []).append(rate)
    result: dict[str, Any] = {
        "scenario": "frameworks",
        "about": f"one process, {connections} connections, {seconds} s each",
        "server": "",
        "figures": [
            report.recorded(f"{framework} on {server}", rates, unit="/s")
            for (framework, server), rates in found.items()
        ],
    }
    for figure in result["figures"]:
        print(json.dumps(figure, ensure_ascii=False))
    if json_file is not None:
        report.write(json_file, json.dumps({**facts, "results": [result]}, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    typer.run(main)
