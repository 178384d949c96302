"""Starts the command line, or says what to install for it."""

from __future__ import annotations

import io
import os
import sys


def main() -> None:
    """Run `fairdispatch` with the arguments of the process and exit with its code."""
    try:
        _run()
    except KeyboardInterrupt:  # before a command began
        sys.stderr.write("fairdispatch: interrupted\n")
        sys.exit(130)


def _run() -> None:
    try:
        from fair_dispatcher.cli import app
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "structlog", "typer"}:
            raise
        sys.stderr.write(
            f"fairdispatch: the package {error.name} is missing: pip install 'fair-dispatcher[cli]'\n"
        )
        sys.exit(2)
    _mend_standard_streams()
    app(prog_name="fairdispatch")


def _mend_standard_streams() -> None:
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Closed by who started us: what is opened next must not take its place.
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character shows its number: no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
