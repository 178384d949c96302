"""As much of Kafka's protocol as it takes to ask a broker whether it serves, without a client library."""

from __future__ import annotations

import socket
import struct

_TIMEOUT_SECONDS = 1.0
# ApiVersions, version 3: key, version, number of the request, length of the client's name.
_HEAD = struct.Struct(">hhih")
_CLIENT = b"probe"
# No tags, then the client's software and its version with their lengths + 1, no tags.
_BODY = b"\x00" + b"\x06probe" + b"\x021" + b"\x00"
_REQUEST = _HEAD.pack(18, 3, 1, len(_CLIENT)) + _CLIENT + _BODY
_ANSWER = struct.Struct(">ih")
_FEATURE = b"\x11metadata.version"


def ask_api_versions(host: str, port: int) -> bytes | None:
    """Return a broker's answer; None when there is no broker, no answer or an error."""
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS) as connection:
            connection.sendall(struct.pack(">i", len(_REQUEST)) + _REQUEST)
            with connection.makefile("rb") as stream:
                size = stream.read(4)
                if len(size) < 4:
                    return None
                answer = stream.read(struct.unpack(">i", size)[0])
    except OSError:
        return None
    return answer if len(answer) >= _ANSWER.size and _ANSWER.unpack_from(answer)[1] == 0 else None


def metadata_level(answer: bytes) -> int | None:
    """Return the level of metadata.version that a cluster has agreed on; it grows with Kafka's version."""
    # Twice in the answer: first what this broker could do, then what holds.
    at = answer.rfind(_FEATURE)
    if at < 0:
        return None
    (highest,) = struct.unpack_from(">h", answer, at + len(_FEATURE))
    return int(highest)
