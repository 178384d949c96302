"""As much of the RESP protocol as it takes to ask a server how it is, without a client library."""

from __future__ import annotations

import socket
from collections.abc import Mapping

_TIMEOUT_SECONDS = 1.0


def ask(host: str, port: int, command: str) -> str | None:
    """Send an inline command and return the answer's text; None when there is no server or no answer."""
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS) as connection:
            connection.sendall(command.encode() + b"\r\n")
            with connection.makefile("rb") as answer:
                head = answer.readline().decode().strip()
                if head.startswith("$"):
                    return answer.read(int(head[1:])).decode()
                return head
    except OSError:
        return None


def reported_version(host: str, port: int) -> str:
    """Return the name and version that a server tells of itself, for example "redis 7.0.15"."""
    lines = (ask(host, port, "INFO server") or "").splitlines()
    return version_in(dict(line.split(":", 1) for line in lines if ":" in line))


def version_in(info: Mapping[str, str]) -> str:
    """Return name and version out of a server's INFO."""
    if "valkey_version" in info:
        return f"valkey {info['valkey_version']}"
    return f"redis {info['redis_version']}"
