"""Asks before something is removed for good."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from fair_dispatcher.runtime import EXIT_FAILED, say


def confirm(yes: bool, question: Callable[[], str]) -> None:
    """Return if `yes` is set or the answer is yes; end the command otherwise.

    Without a terminal nobody can be asked: then --yes is required. The question is made only to be asked.
    """
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise typer.BadParameter("needed where there is no terminal to ask on", param_hint="--yes")
    if not typer.confirm(question(), err=True):
        say("nothing was removed")
        raise typer.Exit(EXIT_FAILED)
