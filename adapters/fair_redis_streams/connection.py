"""One Redis server as the adapter needs it: each call runs at most once, and errors tell whether."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from hiredis import pack_command
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from broker_core.errors import BrokerUnavailable, ConfigurationError
from fair_redis_streams.errors import to_dispatcher_error

Argument = bytes | str | int | float

_DATABASE = re.compile(r"/?|/[0-9]+/?")


class NotSent(BrokerUnavailable):
    """No connection could be made, or the server let us not in: the command did not run."""


class AnswerLost(BrokerUnavailable):
    """The command was sent, its answer did not come: it may have run."""


class Connections:
    """A bounded pool of connections, of its own or borrowed from a client that the caller made.

    Commands are never resent here: redis-py's own retries are switched off, or not used.
    """

    def __init__(self, pool: ConnectionPool, timeout_seconds: float, *, owned: bool) -> None:
        self._pool = pool
        self._timeout_seconds = timeout_seconds
        self._owned = owned
        self._closed = False

    @classmethod
    def to_url(cls, url: str, timeout_seconds: float, max_connections: int) -> Connections:
        """Make a pool for the URL; raise ConfigurationError when it is none. Connects to nothing."""
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=max_connections,
                timeout=timeout_seconds,
                # Bounded by `call`: redis-py's own time-out would let a cancellation get lost on Python 3.11.
                socket_timeout=None,
                socket_connect_timeout=timeout_seconds,
                retry=Retry(NoBackoff(), 0),
                decode_responses=False,
            )
            _check_database(url, pool)
            # Looks at the options of the URL; connects to nothing.
            pool.make_connection()  # type: ignore[no-untyped-call]
        except (ValueError, TypeError, RedisError) as error:
            # The URL may hold a password, so neither it nor the library's text is shown.
            raise ConfigurationError(
                "REDIS_URL is not a URL of Redis: redis://[user:password@]host:port/db, rediss://… for TLS, "
                "unix://path or embedded:[folder]; db is a whole number, special characters in the user name "
                "and the password are percent-encoded"
            ) from error
        return cls(pool, timeout_seconds, owned=True)

    @classmethod
    def of_client(cls, client: Any, timeout_seconds: float) -> Connections:
        """Borrow the pool of a redis.asyncio.Redis; it is never closed here."""
        if not isinstance(client, Redis):
            raise ConfigurationError(f"client must be a redis.asyncio.Redis, not {type(client).__name__}")
        if client.connection_pool.connection_kwargs.get("decode_responses"):
            raise ConfigurationError("client must be made with decode_responses=False: payloads are bytes")
        return cls(client.connection_pool, timeout_seconds, owned=False)

    async def call(self, *command: Argument, timeout_seconds: float | None = None) -> Any:
        """Run one command once and return its answer.

        Raises NotSent or AnswerLost for trouble with the connection, the server's own refusal as
        redis.exceptions.ResponseError.
        """
        async with self._connection() as connection:
            try:
                async with asyncio.timeout(timeout_seconds or self._timeout_seconds):
                    packed = pack_command(command)  # type: ignore[arg-type]  # the stub means tuple[..., ...]
                    cancellations = _Cancellations()
                    await connection.send_packed_command([packed])
                    cancellations.check()
                    return await connection.read_response(timeout=math.inf)
            except ResponseError:
                raise
            except (BusyLoadingError, AuthenticationError) as error:
                mapped = to_dispatcher_error(error)
                raise NotSent(str(mapped), retryable=mapped.retryable) from error
            except (OSError, TimeoutError, RedisError) as error:
                raise AnswerLost(str(to_dispatcher_error(error))) from error

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[AbstractConnection]:
        cancellations = _Cancellations()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        except (OSError, TimeoutError, RedisError) as error:
            mapped = to_dispatcher_error(error)
            raise NotSent(str(mapped), retryable=mapped.retryable) from error
        clean = False
        try:
            cancellations.check()
            yield connection
            clean = True
        except ResponseError as error:
            # A server that became a replica: another connection may lead to the primary.
            clean = not isinstance(error, ReadOnlyError)
            raise
        finally:
            if not clean or self._closed:
                # An answer may still come, or nobody else will close it.
                await connection.disconnect(nowait=True)
            await self._pool.release(connection)

    async def close(self) -> None:
        """Disconnect, unless the pool is borrowed. Idempotent."""
        if self._owned:
            self._closed = True
            await self._pool.disconnect()


def _check_database(url: str, pool: ConnectionPool) -> None:
    """Raise ValueError for a database that is no whole number ≥ 0; redis-py would take another one."""
    parts = urlsplit(url)
    named = parts.scheme == "unix" or _DATABASE.fullmatch(parts.path)
    if not named or pool.connection_kwargs.get("db", 0) < 0:
        raise ValueError("db")


class _Cancellations:
    """Notices a cancellation that somebody has swallowed.

    A borrowed client with a time-out of its own sends by asyncio.wait_for, which swallows a cancellation
    that comes when the sending is already done (Python 3.11).
    """

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._task.cancelling() if self._task else 0

    def check(self) -> None:
        """Raise CancelledError if the task was cancelled since this was made."""
        if self._task and self._task.cancelling() > self._before:
            raise asyncio.CancelledError
