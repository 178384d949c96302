"""Starts the command line, or says what to install for it."""

from __future__ import annotations

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
    app(prog_name="fairdispatch")


if __name__ == "__main__":
    main()
