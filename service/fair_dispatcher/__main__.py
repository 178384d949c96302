"""Starts the command line, or says what to install for it."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run `fairdispatch` with the arguments of the process and exit with its code."""
    try:
        from fair_dispatcher.cli import app
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "typer"}:
            raise
        sys.stderr.write(
            f"fairdispatch: the package {error.name} is missing: pip install 'fair-dispatcher[cli]'\n"
        )
        sys.exit(2)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character shows its number: no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="fairdispatch")


if __name__ == "__main__":
    main()
