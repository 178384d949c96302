"""Compares frameworks and servers by POSTs of one small JSON message: `python -m bench.http.frameworks`.

Needs wrk, and fastapi, granian, httptools, litestar, starlette, uvicorn, uvloop. No broker is behind the
endpoint, so the numbers are what is left for everything else.
"""

from __future__ import annotations

import argparse
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
from pathlib import Path

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(options.rounds):
        for server in SERVERS:
            for framework in FRAMEWORKS:
                with serving(server, framework) as url:
                    rate = measure(url, options.seconds, options.connections)
                found.setdefault((framework, server), []).append(rate)
    print(f"{'framework':<10} {'server':<8} {'median/s':>9} {'least':>8} {'most':>8}")
    for (framework, server), rates in found.items():
        rates.sort()
        median = rates[len(rates) // 2]
        print(f"{framework:<10} {server:<8} {median:>9,.0f} {rates[0]:>8,.0f} {rates[-1]:>8,.0f}")


if __name__ == "__main__":
    main()
