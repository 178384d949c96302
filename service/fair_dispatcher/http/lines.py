"""Splits a body into lines as it comes, with bounded memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fair_dispatcher.http.bodies import Body

# A line and its number in the body, from 1.
Numbered = tuple[int, bytes]
# Stands for a line that is longer than allowed.
TOO_LONG = b"\x00"


async def line_groups(
    body: Body, parts: AsyncIterator[bytes], most_line_bytes: int, most_lines: int
) -> AsyncIterator[list[Numbered]]:
    """Yield lines that aren't blank, up to most_lines together; what is read counts against the budget.

    A line longer than most_line_bytes comes as TOO_LONG.
    """
    rest = b""
    number = 1  # of the line that is open
    skipping = False
    async for part in parts:
        body.hold(len(part))
        # Only what came now can end the line that is open.
        head, newline, tail = part.rpartition(b"\n")
        if not newline:
            rest, skipping = _kept(rest + part, most_line_bytes, skipping)
            _hold_only(body, rest)
            continue
        lines = (rest + head).split(b"\n")
        if skipping:
            lines[0] = TOO_LONG
        rest, skipping = _kept(tail, most_line_bytes, False)
        whole = [
            (place, TOO_LONG if len(line) > most_line_bytes else line)
            for place, line in enumerate(lines, number)
            if not line.isspace() and line
        ]
        number += len(lines)
        for start in range(0, len(whole), most_lines):
            yield whole[start : start + most_lines]
        _hold_only(body, rest)
    if skipping:
        yield [(number, TOO_LONG)]
    elif rest and not rest.isspace():
        yield [(number, rest)]


def _hold_only(body: Body, rest: bytes) -> None:
    body.release()
    body.hold(len(rest))


def _kept(rest: bytes, most_bytes: int, skipping: bool) -> tuple[bytes, bool]:
    """Return what to keep of a line that hasn't ended, and whether it is too long already."""
    if skipping or len(rest) > most_bytes:
        return b"", True
    return rest, False
