"""What tests need of a broker's server, wherever it runs."""

from __future__ import annotations

from typing import Protocol


class BrokerServer(Protocol):
    """A server that belongs to the test run; `version` is what the server itself reports."""

    @property
    def version(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def url(self) -> str:
        """The address as clients take it, with guest's password where there is one."""

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
    """This machine doesn't have the server; the text says which, and what was found instead."""
