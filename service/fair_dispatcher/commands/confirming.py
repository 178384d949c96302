"""Asks before something is removed for good."""

from __future__ import annotations

import select
import signal
import socket
import sys
from collections.abc import Callable

import typer

from fair_dispatcher.runtime import EXIT_FAILED, say

_ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}


def confirm(yes: bool, question: Callable[[], str]) -> None:
    """Return if `yes` is set or the answer is yes; end the command otherwise.

    Without a terminal nobody can be asked: then --yes is required. The question is made only to be asked.
    """
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise typer.BadParameter("needed where there is no terminal to ask on", param_hint="--yes")
    if not _answer(question()):
        say("nothing was removed")
        raise typer.Exit(EXIT_FAILED)


def _answer(question: str) -> bool:
    """Ask until the answer is yes or no. Raises Abort at the end of the input or on Ctrl-C."""
    try:
        while True:
            typer.echo(f"{question} [y/N]: ", nl=False, err=True)
            _wait_for_line()
            line = sys.stdin.readline()
            if not line:
                raise typer.Abort
            answer = _ANSWERS.get(line.strip().lower())
            if answer is not None:
                return answer
            typer.echo("Error: invalid input", err=True)
    except KeyboardInterrupt:
        raise typer.Abort from None


def _wait_for_line() -> None:
    """Wait until somebody has answered, or a signal has come.

    A signal that comes between Python's last look for one and a read of the terminal would be seen only
    after the answer; here it ends the wait whenever it comes.
    """
    waiting, waking = socket.socketpair()
    with waiting, waking:
        waking.setblocking(False)
        former = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        try:
            select.select([sys.stdin, waiting], [], [])
        finally:
            signal.set_wakeup_fd(former)
