"""A snapshot cut into pieces that fit into records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from zlib import crc32

from google.protobuf.message import DecodeError

from fair_kafka.ledger import snapshot_pb2 as pb

MOST_BYTES = 900_000
_ROOM = 64  # for what a piece tells about itself


def cut(applied_offset: int, snapshot: bytes, most_bytes: int = MOST_BYTES) -> list[bytes]:
    """Return pieces of at most this size, in their order."""
    size = most_bytes - _ROOM
    checksum, count = crc32(snapshot), -(-len(snapshot) // size)
    return [
        pb.Piece(
            applied_offset=applied_offset + 1,
            index=index,
            count=count,
            checksum=checksum,
            data=snapshot[index * size : (index + 1) * size],
        ).SerializeToString()
        for index in range(count)
    ]


def complete_snapshots(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield applied offset and bytes of each snapshot of which all pieces came, in whatever order.

    Pieces of several snapshots may be mixed; what is no piece is skipped.
    """
    unfinished: dict[tuple[int, int, int], dict[int, bytes]] = {}
    for data in pieces:
        try:
            piece = pb.Piece.FromString(data)
        except DecodeError:
            continue
        key = (piece.applied_offset, piece.count, piece.checksum)
        parts = unfinished.setdefault(key, {})
        parts[piece.index] = piece.data
        if len(parts) == piece.count:
            del unfinished[key]
            whole = b"".join(parts[index] for index in sorted(parts))
            if crc32(whole) == piece.checksum:
                yield piece.applied_offset - 1, whole
