"""Prints what commands found: tables for people, JSON for machines."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Wide enough that nothing is cut where no terminal limits the width.
_WIDTH_OF_FILES = 10_000


def print_json(document: Mapping[str, object]) -> None:
    """Print one JSON document in one line of UTF-8."""
    typer.echo(json.dumps(document, ensure_ascii=False).encode())


def payload_fields(payload: bytes) -> dict[str, str]:
    """Return the payload as text if it is UTF-8, else in base64, by the name that says which."""
    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(payload).decode()}


def printable(text: str) -> str:
    """Return the text with escapes for what isn't printable, so that it can't command a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a Listing: numbers are set to the right."""

    heading: str
    number: bool = False
    least_width: int | None = None


class Listing:
    """A table that may grow by a page at a time; its rows need not be in memory together."""

    def __init__(self, *columns: Column) -> None:
        self._columns = columns
        self._begun = False
        self._console = _console()

    def add(self, rows: Iterable[Sequence[str | int]]) -> None:
        """Print further rows, below the headings if they are the first."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, show_header=not self._begun, pad_edge=False)
        for column in self._columns:
            table.add_column(
                column.heading,
                justify="right" if column.number else "left",
                min_width=column.least_width,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(Text(_cell(value)) for value in row))
        self._begun = True
        self._console.print(table)


def _cell(value: str | int) -> str:
    return f"{value:,}" if isinstance(value, int) else printable(value)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command's end, as for any other output."""
        raise


def _console() -> Console:
    console = _Console(highlight=False)
    return console if console.is_terminal else _Console(highlight=False, width=_WIDTH_OF_FILES)
