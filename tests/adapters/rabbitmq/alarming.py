"""A server of their own for tests that raise its alarms, by its own tool."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.servers.rabbitmq_local import LocalRabbitMQ

_TOOL = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")
_NOTHING, _MUCH = "0.00001", "0.6"


async def control(server: LocalRabbitMQ, *arguments: str) -> None:
    """Run the server's tool; its failure is the test's."""
    command = [str(_TOOL), "--erlang-cookie", "test", *arguments]
    environment = {**os.environ, **server.environment()}
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@asynccontextmanager
async def memory_alarm(server: LocalRabbitMQ) -> AsyncIterator[None]:
    """Let the server take no messages."""
    await control(server, "set_vm_memory_high_watermark", _NOTHING)
    try:
        yield
    finally:
        await control(server, "set_vm_memory_high_watermark", _MUCH)
