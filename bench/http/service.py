"""Measures `fairdispatch serve`, one process, with a Redis beside it: `python -m bench.http.service`.

Needs wrk. Prints a table and writes bench/results/http.json. With the rates it tells how much of one core the
serving process used a request, which says more than the rate where the machine does other work too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.http import wrk
from tests.servers.redis_local import LocalRedis, debian_redis, free_port

PROGRAM = (sys.executable, "-m", "fair_dispatcher")
RESULTS = Path(__file__).resolve().parents[1] / "results" / "http.json"
BATCH = 500
TAKE = 100
TARGETS = {
    "single POSTs a second": (5_000, True),
    "messages a second in batches": (40_000, True),
    "p99 of a POST at 1,000/s, ms": (15, False),
    "messages a second received and acked": (8_000, True),
}

SINGLE = """
wrk.method = "POST"
wrk.body = '{"payload": "' .. string.rep("x", 100) .. '"}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
"""
BATCHES = """
local lines = {}
for i = 1, %d do
  lines[i] = '{"customer": "c' .. (i %% 50) .. '", "payload": "' .. string.rep("x", 100) .. '"}'
end
wrk.method = "POST"
wrk.body = table.concat(lines, "\\n") .. "\\n"
wrk.headers["Content-Type"] = "application/x-ndjson"
wrk.headers["Authorization"] = "Bearer %s"
"""
# Each connection takes messages and acks them, by turns.
CONSUME = """
local headers = {["Content-Type"] = "application/json", ["Authorization"] = "Bearer %s"}
local take = wrk.format("POST", "/v1/deliveries", headers, '{"max_messages": %d, "wait": 1}')
local waiting = {}
function request()
  local receipts = table.remove(waiting)
  if receipts == nil then return take end
  return wrk.format("POST", "/v1/deliveries/ack", headers, '{"receipts": [' .. receipts .. ']}')
end
function response(status, _, body)
  local receipts = {}
  for receipt in body:gmatch('"receipt":("[^"]*")') do receipts[#receipts + 1] = receipt end
  if #receipts > 0 then waiting[#waiting + 1] = table.concat(receipts, ",") end
end
"""


@dataclass(frozen=True)
class Served:
    """A running service. pid: of its one serving process."""

    port: int
    token: str
    pid: int

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def get(self, path: str) -> dict[str, Any]:
        request = urllib.request.Request(self.url(path), headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request) as answer:
            return dict(json.load(answer))


@contextmanager
def serving(redis: LocalRedis) -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as folder:
        keys = f"{folder}/keys.json"
        scopes = [part for scope in ("publish", "consume", "admin") for part in ("--scope", scope)]
        made = subprocess.run(
            [*PROGRAM, "keys", "create", "--file", keys, *scopes], check=True, capture_output=True, text=True
        )
        port = free_port()
        process = subprocess.Popen(
            [*PROGRAM, "serve", "--port", str(port), "--key-file", keys, "--log-format", "json"],
            env=os.environ | {"BROKER": "redis", "REDIS_URL": redis.url, "FAIRDISPATCH_LEASE_SECONDS": "600"},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            for text in process.stderr:
                if (line := json.loads(text))["event"] == "worker process ready":
                    break
            yield Served(port, made.stdout.strip(), int(line["pid"]))
        finally:
            process.terminate()
            process.communicate(timeout=30)


def total(served: Served) -> int:
    customers = served.get("/v1/customers?limit=1000")["customers"]
    return sum(one["backlog"]["ready"] + one["backlog"]["leased"] for one in customers)


def singles(served: Served, seconds: int) -> float:
    path = served.url("/v1/customers/acme/messages")
    return wrk.run(path, SINGLE % served.token, connections=32, seconds=seconds).requests_per_second


def batches(served: Served, seconds: int) -> float:
    script = BATCHES % (BATCH, served.token)
    return (
        BATCH
        * wrk.run(served.url("/v1/messages"), script, connections=4, seconds=seconds).requests_per_second
    )


def paced(served: Served, seconds: int) -> float:
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "bench.http.paced", "127.0.0.1", str(served.port)),
            *("/v1/customers/acme/messages", served.token, "1000", str(seconds)),
        ],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(json.loads(finished.stdout)["p99_ms"])


def consumers(served: Served, seconds: int) -> float:
    while total(served) < 60_000 * seconds:
        batches(served, 1)
    before = total(served)
    wrk.run(served.url("/"), CONSUME % (served.token, TAKE), connections=8, seconds=seconds)
    return (before - total(served)) / seconds


CASES: dict[str, Callable[[Served, int], float]] = dict(
    zip(TARGETS, (singles, batches, paced, consumers), strict=True)
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, list[float]] = {}
    cores: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for name, measure in CASES.items():
            redis = LocalRedis(debian_redis())
            redis.start()
            try:
                with serving(redis) as served:
                    before = served.cpu_seconds()
                    value = measure(served, options.seconds)
                    used = served.cpu_seconds() - before
            finally:
                redis.stop()
            found.setdefault(name, []).append(value)
            cores.setdefault(name, []).append(used)
    print(f"{'':<38} {'median':>9} {'least':>9} {'most':>9} {'target':>9}  load {os.getloadavg()[0]:.1f}")
    for name, values in found.items():
        target, at_least = TARGETS[name]
        met = (statistics.median(values) >= target) == at_least
        print(
            f"{name:<38} {statistics.median(values):>9,.1f} {min(values):>9,.1f} {max(values):>9,.1f} "
            f"{target:>9,} {'' if met else '  NOT MET'}  cpu {statistics.median(cores[name]):.2f} s"
        )
    RESULTS.write_text(
        json.dumps({"values": found, "cpu_seconds": cores, "cpus": os.cpu_count()}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
