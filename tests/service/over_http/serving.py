"""A running `fairdispatch serve` for tests: its address, its log, its processes, its end."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from broker_core.conformance.polling import Deadline
from tests.service.command_line import PROGRAM, plain_environment, run_process
from tests.service.over_http.brokers import Place
from tests.service.work_run import WorkRun


@dataclass(frozen=True)
class Serving:
    """A supervisor with its processes. run: what it logs, and how it ends.

    token: a key for everything, which each process knows from its start.
    """

    run: WorkRun
    keys: Path
    token: str

    async def url(self, deadline: Deadline, count: int = 1) -> str:
        """Wait until so many processes have got ready, and return the address."""
        await self.run.until_ready(count, deadline)
        return str(self.run.events("listening")[0]["url"])

    @contextlib.asynccontextmanager
    async def client(
        self, deadline: Deadline, *scopes: str, count: int = 1, **options: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        """A client with a new key for these scopes, or with the one for everything."""
        url = await self.url(deadline, count)
        token = make_key(self.keys, *scopes) if scopes else self.token
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, **options) as client:
            await deadline.until(lambda: _known(client), "the new key to be known")
            yield client


async def _known(client: httpx.AsyncClient) -> bool:
    return (await client.get("/v1/customers")).status_code in (200, 403)


def make_key(file: Path, *scopes: str, customers: tuple[str, ...] = ()) -> str:
    """Make a key on the command line, and return its token."""
    wanted = [part for scope in scopes for part in ("--scope", scope)]
    wanted += [part for customer in customers for part in ("--customer", customer)]
    finished = run_process("keys", "create", "--file", str(file), "--json", *wanted)
    assert finished.returncode == 0, finished.stderr
    return str(json.loads(finished.stdout)["key"])


def refused(place: Place, *options: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a `serve` that refuses to start, and return its one line."""
    finished = run_process("serve", *options, environment={**place.environment(), **(environment or {})})
    assert (finished.returncode, len(finished.stderr.splitlines())) == (2, 1), finished.stderr
    return finished.stderr


def start(place: Place, options: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start `fairdispatch serve` on a free port."""
    return subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0", "--log-format", "json", *options],
        env=plain_environment() | place.environment() | dict(environment),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def serving(
    place: Place, folder: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[Serving]:
    """Start `fairdispatch serve` on a free port; what is left of it at the end is killed."""
    folder.mkdir(exist_ok=True)
    keys = folder / "keys.json"
    token = make_key(keys, "publish", "consume", "admin")
    process = start(place, ["--key-file", str(keys), *options], environment or {})
    run = WorkRun(process, folder / "records.ndjson")
    try:
        yield Serving(run, keys, token)
    finally:
        run.end()
