"""Server functions of one namespace: called by operation and shard, loaded when the server lacks them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from redis.exceptions import ResponseError

from broker_core.errors import ConfigurationError
from fair_redis_streams import keys
from fair_redis_streams.connection import Argument, Connections
from fair_redis_streams.errors import code_of, to_dispatcher_error
from fair_redis_streams.library import library

log = logging.getLogger(__name__)

OLDEST = {"redis": (7, 0), "valkey": (8, 0)}


class Server:
    """Runs operations as atomic server calls. What it raises are DispatcherErrors."""

    def __init__(self, connections: Connections, namespace: str) -> None:
        self._connections = connections
        self._namespace = namespace
        self._library = library()
        self._loading = asyncio.Lock()
        self._functions: dict[str, bytes] = {}
        # Set when a function failed half way: the ring may lack a customer.
        self.suspect = asyncio.Event()

    async def run(self, operation: str, shard: int, *arguments: Argument) -> Any:
        """Run the operation once and return its answer; see functions/<operation>.lua.

        Raises NotSent or AnswerLost (both BrokerUnavailable), or what the server's refusal means.
        """
        function = self._functions.get(operation)
        if function is None:
            function = self._functions[operation] = self._library.function(operation)
        meta = keys.meta(self._namespace, shard)
        try:
            return await self._connections.call("FCALL", function, 1, meta, *arguments)
        except ResponseError as error:
            # What a function of ours fails with has a code: without one the server may not have had it.
            # By now it may be there, loaded by somebody else.
            if type(error) is not ResponseError or code_of(error) not in ("", "ERR"):
                self._suspect(error)
                raise to_dispatcher_error(error) from error
            await self.load_missing()
        try:
            return await self._connections.call("FCALL", function, 1, meta, *arguments)
        except ResponseError as error:
            self._suspect(error)
            raise to_dispatcher_error(error) from error

    async def command(self, *command: Argument, timeout_seconds: float | None = None) -> Any:
        """Run a plain command once and return its answer, with the same errors as `run`."""
        try:
            return await self._connections.call(*command, timeout_seconds=timeout_seconds)
        except ResponseError as error:
            raise to_dispatcher_error(error) from error

    async def load_missing(self) -> bool:
        """Load the functions if the server lacks them; True if it did."""
        async with self._loading:
            listed = await self.command("FUNCTION", "LIST", "LIBRARYNAME", self._library.name)
            if listed:
                return False
            # REPLACE can only meet the same library: its name is the hash of its content.
            await self.command("FUNCTION", "LOAD", "REPLACE", self._library.source)
            log.info("loaded the server functions %s", self._library.name)
            return True

    async def check(self) -> None:
        """Raise ConfigurationError unless the server is new enough and set up to keep messages."""
        hello = _pairs(await self.command("HELLO"))
        kind = _text(hello.get("server", "redis"))
        version = _text(hello.get("version", ""))
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        oldest = OLDEST.get(kind)
        if oldest is not None and numbers < oldest:
            needed = ", ".join(f"{name} {major}.{minor}" for name, (major, minor) in OLDEST.items())
            raise ConfigurationError(
                f"the server is {kind} {version}, needed is one of these or newer: {needed}"
            )
        try:
            memory = await self._connections.call("INFO", "memory")
        except ResponseError:
            return  # this user may not ask
        settings = dict(line.split(":", 1) for line in _text(memory).splitlines() if ":" in line)
        policy, limit = settings.get("maxmemory_policy", ""), settings.get("maxmemory", "0")
        if policy.startswith("allkeys-") and limit != "0":
            raise ConfigurationError(
                f"maxmemory-policy is {policy}: Redis would delete messages when it is full; set noeviction"
            )

    def _suspect(self, error: ResponseError) -> None:
        if type(error) is ResponseError:
            self.suspect.set()


def _pairs(answer: Any) -> dict[str, Any]:
    if isinstance(answer, dict):
        return {_text(name): value for name, value in answer.items()}
    return {_text(answer[i]): answer[i + 1] for i in range(0, len(answer), 2)}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
