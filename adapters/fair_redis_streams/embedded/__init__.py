"""A real Valkey server from a wheel, run beside the processes that use it and ended with the last of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from broker_core.errors import ConfigurationError

SCHEME = "embedded:"

__all__ = ["SCHEME", "EmbeddedServer", "acquire"]


class EmbeddedServer:
    """One use of a running server; it stays at least until `release`. Made by `acquire`.

    folder: where its data and its log are. url: for `redis.asyncio.Redis.from_url`.
    """

    def __init__(self, folder: Path, socket: Path, leave: Callable[[Path], None]) -> None:
        self.folder = folder
        self.url = f"unix://{quote(str(socket))}?db=0"
        self._leave = leave
        self._released = False

    async def release(self) -> None:
        """Give up this use, at once; the server ends with the last use of all processes. Idempotent."""
        if not self._released:
            self._released = True
            self._leave(self.folder)


async def acquire(url: str) -> EmbeddedServer:
    """Return a running server that stays at least until `release` or the end of this process.

    url: `embedded:` for a server in a temporary folder, shared by all dispatchers of this process and
    removed after the last one; `embedded:/path/to/data` for one whose data stays in that folder and that
    all processes naming it share. Waits for 30 seconds at most, 300 while the server loads its data.
    Raises ConfigurationError for a folder that can't serve or a missing package, BrokerUnavailable when the
    server doesn't start.
    """
    if sys.platform == "win32":
        raise ConfigurationError(
            f"{url!r}: there is no embedded server for Windows: "
            "run a Redis or Valkey server and set REDIS_URL=redis://host:6379/0"
        )
    # Imported late: the module needs locks that only POSIX systems have.
    from fair_redis_streams.embedded.server import acquire as acquire_here

    return await acquire_here(url)
