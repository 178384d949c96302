"""As much of AMQP 0-9-1 as it takes to ask a server who it is, without a client library or a login."""

from __future__ import annotations

import socket
import struct

_TIMEOUT_SECONDS = 1.0
_GREETING = b"AMQP\x00\x00\x09\x01"
# Frame: type, channel, size of what follows. Then connection.start: class 10, method 10, version 0-9.
_FRAME = struct.Struct(">BHI")
_START = b"\x00\x0a\x00\x0a\x00\x09"


def server_properties(host: str, port: int) -> dict[str, str] | None:
    """Return the texts among what a server tells of itself; None when there is no server or no answer."""
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS) as connection:
            connection.sendall(_GREETING)
            with connection.makefile("rb") as answer:
                head = answer.read(_FRAME.size)
                if len(head) < _FRAME.size:
                    return None
                frame = answer.read(_FRAME.unpack(head)[2])
    except OSError:
        return None
    return texts_of_start(frame) if frame.startswith(_START) else None


def told_version(host: str, port: int) -> str:
    """Return name and version as the server tells them, for example "rabbitmq 3.10.8"."""
    told = server_properties(host, port)
    assert told is not None, f"no server at {host}:{port}"
    return f"{told['product']} {told['version']}".lower()


def texts_of_start(frame: bytes) -> dict[str, str]:
    """Return the long strings of the first table in a frame connection.start."""
    place = len(_START)
    (size,) = struct.unpack_from(">I", frame, place)
    return _texts(frame[place + 4 : place + 4 + size])


def _texts(table: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    place = 0
    while place < len(table):
        name_end = place + 1 + table[place]
        name = table[place + 1 : name_end].decode()
        kind = table[name_end : name_end + 1]
        place = name_end + 1
        if kind == b"t":
            place += 1
            continue
        (size,) = struct.unpack_from(">I", table, place)
        if kind == b"S":
            found[name] = table[place + 4 : place + 4 + size].decode()
        elif kind != b"F":
            raise ValueError(f"unexpected kind {kind!r} of {name}")
        place += 4 + size
    return found
