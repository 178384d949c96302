"""One connection to one broker for one purpose: a request is sent at most once, and errors tell whether."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any

from aiokafka.conn import (
    AIOKafkaConnection,
    CloseReason,
    collect_hosts,
)
from aiokafka.errors import KafkaError

from broker_core.errors import ConfigurationError
from fair_kafka.errors import NotSent, answer_lost, not_sent
from fair_kafka.settings import KafkaSettings

Request = Any  # of aiokafka.protocol, which has no types
Response = Any
Address = tuple[str, int]

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 1.0

# Debug lines of the client quote whole requests, payloads included: for those who ask for its own only.
if (_logger := logging.getLogger("aiokafka")).level == logging.NOTSET:
    _logger.setLevel(logging.INFO)


def addresses_of(servers: str) -> list[Address]:
    """Read host:port,host:port; raise ConfigurationError for anything else."""
    try:
        found = [(host, port) for host, port, _ in collect_hosts(servers, randomize=False)]
    except (ValueError, IndexError) as error:
        raise ConfigurationError(
            f"KAFKA_BOOTSTRAP_SERVERS is {servers!r}, but must be host:port,…"
        ) from error
    if not all(host and 0 < port < 65536 for host, port in found):
        raise ConfigurationError(f"KAFKA_BOOTSTRAP_SERVERS is {servers!r}, but must be host:port,…")
    return found


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return aiokafka's options; raise ConfigurationError where settings contradict or files are missing."""
    options: dict[str, Any] = {
        "client_id": "fair-dispatcher",
        "request_timeout_ms": round(settings.timeout_seconds * 1000),
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    if settings.security_protocol.startswith("SASL"):
        if settings.username is None or settings.password is None:
            raise ConfigurationError(
                f"security_protocol {settings.security_protocol} needs username and password"
            )
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.username
        options["sasl_plain_password"] = settings.password.get_secret_value()
    return options


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ssl_ca_file)
        if settings.ssl_cert_file is not None:
            context.load_cert_chain(settings.ssl_cert_file, settings.ssl_key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"ssl_ca_file, ssl_cert_file or ssl_key_file can't be used: {error}"
        ) from error
    return context


class Pace:
    """Lets few attempts a second through to an address that doesn't answer."""

    def __init__(self) -> None:
        self._failures = 0
        self._next_at = 0.0
        self._cause: BaseException | None = None

    def check(self) -> None:
        """Raise NotSent, with the cause of the last failure, while it is too early for another attempt."""
        if self._cause is not None and asyncio.get_running_loop().time() < self._next_at:
            raise not_sent(self._cause)

    def failed(self, cause: BaseException) -> None:
        """Note a failure."""
        pause = min(FIRST_PAUSE_SECONDS * 2**self._failures, LONGEST_PAUSE_SECONDS)
        self._failures = min(self._failures + 1, 10)
        self._cause = cause
        self._next_at = asyncio.get_running_loop().time() + pause

    def succeeded(self) -> None:
        """Note an answer."""
        self._failures, self._cause = 0, None


class Connection:
    """A connection that is made when it is needed and made anew when it broke.

    Requests are answered in the order in which they were sent, so one that waits in the broker holds up
    those behind it.
    """

    def __init__(self, address: Address, options: dict[str, Any], timeout_seconds: float, pace: Pace) -> None:
        self._address = address
        self._options = options
        self._timeout_seconds = timeout_seconds
        self._pace = pace
        self._connection: AIOKafkaConnection | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    async def call(self, request: Request) -> Response:
        """Send the request once and return its answer, within the time-out.

        Raises NotSent or AnswerLost; error codes in the answer are the caller's to look at.
        """
        connection = self._connection
        if connection is None or not connection.connected():
            connection = await self._connect()
        try:
            answer = connection.send(request)
        except KafkaError as error:
            raise not_sent(error) from error
        try:
            return await answer
        except (OSError, TimeoutError, KafkaError) as error:
            connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
            raise answer_lost(error) from error

    async def _connect(self) -> AIOKafkaConnection:
        async with self._connecting:
            if self._connection is not None and self._connection.connected():
                return self._connection
            if self._closed:
                raise NotSent("the dispatcher is closed")
            self._pace.check()
            host, port = self._address
            connection = AIOKafkaConnection(host, port, **self._options)
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    await connection.connect()
            except (OSError, TimeoutError, KafkaError) as error:
                self._pace.failed(error)
                raise not_sent(error) from error
            self._pace.succeeded()
            self._connection = connection
            if self._closed:
                await self.close()
                raise NotSent("the dispatcher is closed")
            return connection

    async def close(self) -> None:
        """Disconnect. Idempotent."""
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None and (closed := connection.close()) is not None:
            await closed
