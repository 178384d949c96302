"""Wrong usage is said in one line too, like any other error."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import typer
from typer.core import TyperGroup

from fair_dispatcher.runtime import EXIT_CODES, EXIT_INTERRUPTED, exit_codes, say


class Commands(TyperGroup):
    """A group of commands whose errors take one line, where Typer would print a page."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command of the arguments and exit with its code."""
        call = partial(super().main, args, prog_name, complete_var, False, windows_expand_args, **extra)
        if not standalone_mode:
            return call()
        try:
            outcome = call()
        except typer.TyperException as error:
            say(error.format_message() + _hint(error))
            sys.exit(error.exit_code)
        except typer.Abort:  # Ctrl-C where the command asks something
            say("interrupted")
            sys.exit(EXIT_INTERRUPTED)
        sys.exit(outcome if isinstance(outcome, int) else 0)

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse the arguments, with errors as `exit_codes` has them."""
        with exit_codes():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, with errors as `exit_codes` has them."""
        with exit_codes():
            return super().invoke(ctx)


def _hint(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return "" if context is None else f" (`{context.command_path} --help` tells more)"


def show_help(context: typer.Context) -> None:
    """Print the help of a group that was called without a command."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def examples(*pairs: tuple[str, str]) -> str:
    """Make the end of a help page: what is done, and the command that does it."""
    lines = [line for purpose, command in pairs for line in (f"  # {purpose}", f"  {command}")]
    # \b keeps the lines as they are.
    return "\b\nExamples:\n" + "\n".join(lines)


def exit_code_list() -> str:
    """Make the part of a help page that explains the exit codes."""
    lines = [f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items()]
    return "\n\n\b\nExit codes:\n" + "\n".join(lines)
