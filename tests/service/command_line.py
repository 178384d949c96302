"""The command line for tests: in this process on a memory broker, or as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from typer.testing import CliRunner, Result

from broker_core import FairDispatcher, Message, open_dispatcher
from fair_dispatcher.cli import app

T = TypeVar("T")

PROGRAM = (sys.executable, "-m", "fair_dispatcher")
SECONDS = 60.0


@dataclass(frozen=True)
class MemoryCommands:
    """Runs commands in this process; they share a memory broker."""

    namespace: str

    def __call__(self, *arguments: str, given: str | bytes = "") -> Result:
        """Run one command and expect no exception that the command line lets through."""
        result = CliRunner().invoke(
            app, [*arguments, "--broker", "memory", "--namespace", self.namespace], input=given
        )
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def done(self, *arguments: str, given: str | bytes = "") -> Result:
        """Run one command that succeeds and says nothing on the standard error."""
        result = self(*arguments, given=given)
        assert (result.exit_code, result.stderr) == (0, "")
        return result

    def json(self, *arguments: str, given: str | bytes = "") -> dict[str, Any]:
        """Return the one document that a command prints with --json."""
        (document,) = documents(self.done(*arguments, "--json", given=given).stdout)
        return document

    def do(self, operation: Callable[[FairDispatcher], Awaitable[T]]) -> T:
        """Run an operation on a dispatcher of the same broker."""

        async def do() -> T:
            async with open_dispatcher("memory", namespace=self.namespace) as dispatcher:
                return await operation(dispatcher)

        return asyncio.run(do())

    def publish(self, customer: str, *payloads: bytes, **fields: Any) -> None:
        messages = [Message(customer, payload, **fields) for payload in payloads]
        self.do(lambda dispatcher: dispatcher.publish(messages))

    def bury(self, customer: str, *payloads: bytes, reason: str = "bad number", **fields: Any) -> None:
        """Make dead letters."""

        async def bury(dispatcher: FairDispatcher) -> None:
            await dispatcher.publish([Message(customer, payload, **fields) for payload in payloads])
            await dispatcher.dead_letter(await dispatcher.receive(len(payloads)), reason)

        self.do(bury)

    def take(self, most: int = 1000) -> list[Message]:
        """Receive and ack what is ready."""

        async def take(dispatcher: FairDispatcher) -> list[Message]:
            taken: list[Message] = []
            while deliveries := await dispatcher.receive(most):
                await dispatcher.ack(deliveries)
                taken += [delivery.message for delivery in deliveries]
            return taken

        return self.do(take)


def documents(output: str) -> list[dict[str, Any]]:
    """Parse NDJSON."""
    return [json.loads(line) for line in output.splitlines()]


def plain_environment() -> dict[str, str]:
    """The environment without anything that configures a dispatcher, or changes how Python writes."""
    configures = {"BROKER", "REDIS_URL", "PYTHONUNBUFFERED"}
    return {
        name: value
        for name, value in os.environ.items()
        if name not in configures and not name.startswith("FAIRDISPATCH_")
    }


def run_process(
    *arguments: str, given: bytes = b"", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command as a process to its end."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        input=given.decode(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=plain_environment() | (environment or {}),
        timeout=SECONDS,
        check=False,
    )
