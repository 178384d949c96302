"""Runs one case and prints its metrics as JSON.

Usage: python -m bench.processes.case SCENARIO CASE URL SERVER_PID SCALE
"""

from __future__ import annotations

import json
import sys

import uvloop

from bench import scenarios
from bench.model import Bench


def main(scenario: str, case: str, url: str, server_pid: str, scale: str) -> None:
    """Run it on uvloop."""
    bench = Bench(url=url, server_pid=int(server_pid), scale=float(scale))
    run = next(found for found in scenarios.find(scenario).cases if found.name == case).run
    print(json.dumps(uvloop.run(run(bench))))


if __name__ == "__main__":
    main(*sys.argv[1:])
