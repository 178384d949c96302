"""What tests need of a broker's server, wherever it runs."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit, urlunsplit


class BrokerServer(Protocol):
    """A server for the test run; `version` is what the server itself reports once it has started.

    restartable: kill and launch work. If not, they raise NotImplementedError.
    """

    @property
    def version(self) -> str: ...
    @property
    def restartable(self) -> bool: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def url(self) -> str:
        """The address as clients take it, with the password if there is one."""

    def start(self) -> None:
        """Start it and wait until it serves; RuntimeError with its last output if it doesn't."""

    def kill(self) -> None:
        """End it at once, as a crash does; what it had stored stays."""

    def launch(self) -> None:
        """Start it again on the same address with what it had stored; doesn't wait."""

    def answers(self) -> bool:
        """Tell whether it serves requests now."""

    def stop(self) -> None:
        """End it for good and remove what it stored. Idempotent."""


class ServerAbsent(Exception):
    """There is no such server to be had; the text says which, and what was found instead."""


def at(url: str, host: str, port: int) -> str:
    """Return the URL with another address in it, such as a proxy's; user, password and path stay."""
    parts = urlsplit(url)
    credentials, separator, _ = parts.netloc.rpartition("@")
    name = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=f"{credentials}{separator}{name}:{port}"))
