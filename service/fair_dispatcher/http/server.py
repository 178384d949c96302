"""One server: uvicorn, with limits on time, size and number of what clients may ask of a connection."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial

import uvicorn

from broker_core.errors import ConfigurationError
from fair_dispatcher.http.app import App
from fair_dispatcher.http.connections import LimitedProtocol
from fair_dispatcher.http.settings import ServiceSettings

_BACKLOG = 2048


class HttpServer:
    """Serves an application on a listening socket until it is stopped, and then finishes what runs."""

    def __init__(self, app: App, settings: ServiceSettings, listener: socket.socket) -> None:
        """Raises ConfigurationError for certificates that can't be used."""
        self._listener = listener
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        config = uvicorn.Config(
            app,
            http=partial(LimitedProtocol, settings),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            loop="none",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_keep_alive=max(1, round(settings.idle_seconds)),
            timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
        )
        config.load()
        config.ssl = tls_context(settings)
        self._server = _Server(config)

    async def run(self, started: Callable[[], object]) -> None:
        """Serve; call `started` when connections are taken."""
        self._server.on_start = started
        await self._server.serve([self._listener])

    def stop(self) -> None:
        """Take no more connections; `run` ends when the requests have been answered."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    on_start: Callable[[], object]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.on_start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process."""
        yield


def tls_context(settings: ServiceSettings) -> ssl.SSLContext | None:
    """Load the certificate. Raises ConfigurationError."""
    if settings.tls_certfile is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_certfile, settings.tls_keyfile, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise ConfigurationError(
            f"the certificate {settings.tls_certfile} or its key {settings.tls_keyfile}: {reason}"
        ) from None
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")
