"""The reference of the command line, from what `--help` says."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from fair_dispatcher.cli import app
from fair_dispatcher.runtime import EXIT_CODES

PROGRAM = "fairdispatch"

Record = tuple[str, str]

_INTRODUCTION = f"""\
# Command line

<!-- Made by `make docs` from the commands themselves; change those. -->

`pip install 'fair-dispatcher[cli,redis]'` brings the command `{PROGRAM}`; `make setup` puts it into
`.venv/bin`. `{PROGRAM} --install-completion` lets the shell complete commands, options and the names of
installed adapters.

Data goes to the standard output, everything else to the standard error. With `--json` the output is one JSON
document, or one a line for listings, in UTF-8; the names of its fields are stable, further ones may be added.
An error is one line.

| exit code | meaning |
|---|---|
"""
# Options with the same meaning in many commands are explained once, as this command has them.
_SHARED_BY = f"{PROGRAM} backlog"
_SHARED = ("--broker", "--url", "--namespace")


def page() -> str:
    """Make the page."""
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    found = dict(commands())
    shared = [one for one in _records(_SHARED_BY, found[_SHARED_BY]) if one[0].split()[0] in _SHARED]
    parts = [_INTRODUCTION + codes, "Every command that uses a broker has these options:\n", *_table(shared)]
    for path, command in found.items():
        parts += _command(path, command, shared)
    return "\n".join(parts).rstrip() + "\n"


def commands() -> Iterator[tuple[str, TyperCommand]]:
    """Yield every command with the words that call it."""
    root = typer.main.get_command(app)
    if isinstance(root, TyperGroup):
        yield from _commands(root, PROGRAM)


def _commands(group: TyperGroup, path: str) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{path} {name}")
        elif isinstance(command, TyperCommand):
            yield f"{path} {name}", command


def _command(path: str, command: TyperCommand, shared: Sequence[Record]) -> Iterator[str]:
    yield f"## {path}\n"
    context = typer.Context(command, info_name=path)
    yield f"```\n{path} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    yield f"{command.help}\n"
    yield from _table([one for one in _records(path, command) if one not in shared])
    # What `examples` and the like made: blocks of a title and lines that stay as they are.
    for block in (command.epilog or "").split("\n\n"):
        title, _, lines = block.removeprefix("\b\n").partition("\n")
        if lines:
            yield f"{title}\n\n```\n{textwrap.dedent(lines)}\n```\n"


def _records(path: str, command: TyperCommand) -> list[Record]:
    context = typer.Context(command, info_name=path)
    records = [(one, record) for one in command.params if (record := one.get_help_record(context))]
    # Of an argument the record may name the type too, which is Python's.
    return [
        (one.metavar or names if isinstance(one, TyperArgument) else names, meaning)
        for one, (names, meaning) in records
    ]


def _table(records: Sequence[Record]) -> Iterator[str]:
    if records:
        yield "| | |\n|---|---|"
        yield from (f"| `{_cell(names)}` | {_cell(meaning)} |" for names, meaning in records)
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
