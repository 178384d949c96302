"""Runs wrk and reads what it says."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, slots=True)
class Found:
    """Requests a second, and how long the slowest hundredth took at least."""

    requests_per_second: float
    p99_ms: float


def run(url: str, script: str, *, connections: int, seconds: int) -> Found:
    """Load the address with a Lua script; exits if any answer isn't a success."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "load.lua"
        file.write_text(script)
        options = [
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--latency",
            "--timeout",
            "10s",
            "-s",
            str(file),
        ]
        output = subprocess.run([wrk, *options, url], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(output)
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    p99 = re.search(r"99%\s+([0-9.]+)(us|ms|s)\b", output)
    if rate is None or p99 is None:
        raise SystemExit(output)
    return Found(float(rate[1]), float(p99[1]) * _UNITS_MS[p99[2]])
