"""Measures `fairdispatch serve`, one process, with a Redis beside it: `python -m bench.http.service`.

Needs wrk. Prints a table and writes JSON. With the rates it tells how much of one core the
serving process used a request, which says more than the rate where the machine does other work too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import machine, report
from bench.http import wrk
from tests.servers.redis_local import LocalRedis, debian_redis, free_port

PROGRAM = (sys.executable, "-m", "fair_dispatcher")
RESULTS = Path(__file__).resolve().parents[1] / "results" / "http.json"
BATCH = 500
TAKE = 100
PACE = 1000
# So many messages a second wait for the consumers: more than they can take.
MOST_CONSUMED = 60_000
# What a figure has to show, and whether it is the least or the most; None: it is only told.
TARGETS: Mapping[str, tuple[float, bool] | None] = {
    "single POSTs a second": (5_000, True),
    "messages a second in batches": (40_000, True),
    "messages a second in batches, each with a key of its own": None,
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
# Begins with a number that no other batch has, so that each message is new.
KEYED = """
local before, after = {}, {}
for i = 1, %d do
  before[i] = '{"customer": "c' .. (i %% 50) .. '", "payload": "' .. string.rep("x", 100)
    .. '", "idempotency_key": "'
  after[i] = '-' .. i .. '"}\\n'
end
local headers = {["Content-Type"] = "application/x-ndjson", ["Authorization"] = "Bearer %s"}
local number = 0
function request()
  number = number + 1
  local lines = {}
  for i = 1, #before do lines[i] = before[i] .. number .. after[i] end
  return wrk.format("POST", "/v1/messages", headers, table.concat(lines))
end
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


@dataclass(frozen=True)
class Measured:
    """A figure, and how many requests or messages the serving process did for each second of a core."""

    value: float
    per_core_second: float


def measured(served: Served, seconds: int, load: Callable[[], float]) -> Measured:
    """Run a load that returns a rate."""
    before = served.cpu_seconds()
    rate = load()
    return Measured(rate, rate * seconds / (served.cpu_seconds() - before))


def singles(served: Served, seconds: int) -> Measured:
    path = served.url("/v1/customers/acme/messages")
    script = SINGLE % served.token
    return measured(
        served, seconds, lambda: wrk.run(path, script, connections=32, seconds=seconds).requests_per_second
    )


def publish_batches(served: Served, seconds: int, script: str = BATCHES) -> float:
    script %= (BATCH, served.token)
    found = wrk.run(served.url("/v1/messages"), script, connections=4, seconds=seconds)
    return BATCH * found.requests_per_second


def batches(served: Served, seconds: int) -> Measured:
    return measured(served, seconds, lambda: publish_batches(served, seconds))


def keyed_batches(served: Served, seconds: int) -> Measured:
    return measured(served, seconds, lambda: publish_batches(served, seconds, KEYED))


def paced(served: Served, seconds: int) -> Measured:
    before = served.cpu_seconds()
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "bench.http.paced", "127.0.0.1", str(served.port)),
            *("/v1/customers/acme/messages", served.token, str(PACE), str(seconds)),
        ],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    p99_ms = float(json.loads(finished.stdout)["p99_ms"])
    return Measured(p99_ms, PACE * seconds / (served.cpu_seconds() - before))


def consumers(served: Served, seconds: int) -> Measured:
    while total(served) < MOST_CONSUMED * seconds:
        publish_batches(served, 1)
    before = total(served)

    def consume() -> float:
        wrk.run(served.url("/"), CONSUME % (served.token, TAKE), connections=8, seconds=seconds)
        return (before - total(served)) / seconds

    return measured(served, seconds, consume)


CASES: dict[str, Callable[[Served, int], Measured]] = dict(
    zip(TARGETS, (singles, batches, keyed_batches, paced, consumers), strict=True)
)


def main(
    seconds: Annotated[int, typer.Option(min=1, help="Of each measurement.")] = 5,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
) -> None:
    """Measure in turn, print a table, write JSON."""
    facts = {"started": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine.describe()}
    found: dict[str, list[Measured]] = {name: [] for name in CASES}
    version = ""
    for _ in range(rounds):
        for name, measure in CASES.items():
            redis = LocalRedis(debian_redis())
            redis.start()
            version = redis.version
            try:
                with serving(redis) as served:
                    found[name].append(measure(served, seconds))
            finally:
                redis.stop()
    result: dict[str, Any] = {
        "scenario": "http",
        "about": f"one process, {seconds} s each",
        "server": version,
        "figures": list(figures(found)),
    }
    for figure in result["figures"]:
        print(json.dumps(figure, ensure_ascii=False))
    report.write(
        json_file or RESULTS, json.dumps({**facts, "results": [result]}, indent=1, ensure_ascii=False)
    )


def figures(found: Mapping[str, Sequence[Measured]]) -> Iterator[dict[str, Any]]:
    """Yield each rate with what it has to show, and how many a core-second of the serving process makes."""
    for name, results in found.items():
        target, at_least = TARGETS[name] or (None, True)
        yield report.recorded(
            name,
            [result.value for result in results],
            at_least=target if at_least else None,
            at_most=None if at_least else target,
        )
        yield report.recorded(
            f"… {name}: requests or messages a core-second", [result.per_core_second for result in results]
        )


if __name__ == "__main__":
    typer.run(main)
