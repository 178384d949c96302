"""The line between a process and its parent: what they tell each other, and that none outlives its parent.

It is a socket that the child finds in place of its standard input. Linux kills the child when the parent
ends; elsewhere, and in case that fails, the end of the socket tells it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO, Generic

from fair_dispatcher.work.options import Assignment, Options

_PR_SET_PDEATHSIG = 1
_EXIT_ORPHANED = 1


class Lifeline(Generic[Options]):
    """A child's end of the line. Making it takes the standard input's place and reads the assignment."""

    def __init__(self, options_type: type[Options]) -> None:
        _die_with_parent()
        connection = socket.socket(fileno=os.dup(0))
        _empty_standard_input()
        self._connection = connection
        self.input: BinaryIO = connection.makefile("rb")
        line = self.input.readline()
        if not line:
            sys.exit(_EXIT_ORPHANED)
        self.assignment: Assignment[Options] = Assignment.from_line(line, options_type)
        if os.getppid() != self.assignment.parent_pid:
            sys.exit(_EXIT_ORPHANED)  # the parent ended before we could ask to end with it

    def tell(self, event: str, **details: object) -> None:
        """Send one line; the parent may be gone, and then nothing matters any more."""
        try:
            self._connection.sendall(json.dumps({"event": event, **details}).encode() + b"\n")
        except OSError:
            os._exit(_EXIT_ORPHANED)

    def send(self, data: bytes) -> None:
        """Send bytes. Raises OSError when the parent is gone."""
        self._connection.sendall(data)

    def listen(self, on_line: Callable[[str], object]) -> None:
        """Call on_line, in another thread, for every line from now on; end the process when the line ends."""

        def read() -> None:
            for line in self.input:
                on_line(line.decode().strip())
            os._exit(_EXIT_ORPHANED)

        threading.Thread(target=read, name="lifeline", daemon=True).start()


def ignore_signals(*numbers: signal.Signals) -> None:
    """Let these signals do nothing here; in programs that are started from here they do what is usual."""
    for number in numbers:
        signal.signal(number, lambda *_: None)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _empty_standard_input() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
