"""Asks before something is removed for good."""

from __future__ import annotations

import sys

import typer


def confirm(question: str, yes: bool) -> None:
    """Return if `yes` is set or the answer is yes; end the command otherwise.

    Without a terminal nobody can be asked: then --yes is required.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("needed where there is no terminal to ask on", param_hint="--yes")
    typer.confirm(question, abort=True, err=True)
