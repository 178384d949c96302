"""Starts a Python process of this package at the other end of a lifeline."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from dataclasses import dataclass

from fair_dispatcher.work.options import Assignment, RunOptions


@dataclass(frozen=True, slots=True)
class Spawned:
    """A process, and the parent's end of the line to it."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def spawn(module: str, number: int, options: RunOptions) -> Spawned:
    """Start `python -m module` with its assignment; to be called in the main thread.

    It leads a session of its own, so that Ctrl-C in a terminal reaches the supervisor alone.
    """
    flags = ["-X", "dev"] if sys.flags.dev_mode else []
    ours, theirs = socket.socketpair()
    process = None
    try:
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *flags, "-m", module),
                stdin=theirs.fileno(),
                pass_fds=options.inherited,
                start_new_session=True,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours)
    except BaseException:
        ours.close()
        if process is not None:
            process.kill()
        raise
    writer.write(Assignment(number=number, parent_pid=os.getpid(), options=options).to_line())
    return Spawned(process, reader, writer)
