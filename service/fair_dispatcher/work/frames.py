"""Bytes with their length before them (4 bytes, big-endian), to send some after another over one line."""

from __future__ import annotations

import asyncio
import struct
from typing import BinaryIO

_LENGTH = struct.Struct(">I")


def pack(data: bytes) -> bytes:
    """Put the length before the data."""
    return _LENGTH.pack(len(data)) + data


def read(source: BinaryIO) -> bytes | None:
    """Read the next one; None at the end of the source, also in the middle of a frame."""
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = source.read(length)
    return data if len(data) == length else None


async def read_async(source: asyncio.StreamReader) -> bytes | None:
    """Read the next one; None at the end of the source, also in the middle of a frame or after a reset."""
    try:
        (length,) = _LENGTH.unpack(await source.readexactly(_LENGTH.size))
        return await source.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
