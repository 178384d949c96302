"""What the server can take at most: XADD of redis-benchmark, pipelines of 100, one stream."""

from __future__ import annotations

import csv
import subprocess
from urllib.parse import urlsplit

from bench.peers.programs.measuring import PAYLOAD_BYTES

REQUESTS = 500_000


def measure(url: str) -> float:
    """Return requests a second."""
    command = ["redis-benchmark", "-p", str(urlsplit(url).port), "-n", str(REQUESTS), "-P", "100", "-c", "1"]
    command += ["--csv", "XADD", "all", "*", "m", "x" * PAYLOAD_BYTES]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(next(csv.DictReader(output.splitlines()))["rps"])
