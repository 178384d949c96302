"""The page of the contract's behaviours on each server, and their counts in the README, from recorded runs.

`make conformance-table` records the runs; a file holds what one of them found.
`python -m scripts.docs.conformance` writes page and README anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from broker_core.conformance.table import Column, as_markdown, read_columns
from scripts.docs.pages import FOLDER

PAGE = FOLDER / "conformance.md"
RUNS = FOLDER / "conformance"
README = FOLDER.parent / "README.md"
BEGIN, END = "<!-- conformance -->", "<!-- /conformance -->"

_INTRODUCTION = """\
# The contract, behaviour by behaviour

<!-- Made by `make conformance-table` from runs of the tests; nothing here is written by hand. -->

Every adapter has to pass the same suite ([broker_core/conformance](../broker_core/conformance)), through the
public interface, on a real server. ✓ passed, – skipped since the adapter declares that it doesn't offer this
or the tests can't bring it about there (the reasons are below the table), empty: wasn't run.
"""
_README = """\
One suite of tests holds every adapter to that, on real servers ([each behaviour](docs/conformance.md),
[which test shows what](docs/proven.md)):
"""


def page() -> str:
    """Make the page."""
    columns = recorded()
    named = [Column(name_of(one), outcomes=one.outcomes, skipped=one.skipped) for one in columns]
    runs = [f"| {name_of(one)} | {one.size} | {one.day} |" for one in columns]
    parts = [_INTRODUCTION, counts(columns), as_markdown(named)]
    return "\n".join([*parts, "| run | size | day |", "|---|---|---|", *runs, ""])


def readme(text: str) -> str:
    """Return the README with the counts of the runs in its marked block."""
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n{_README}\n{counts(recorded())}{END}{after}"


def recorded(folder: Path = RUNS) -> list[Column]:
    """Return the columns of all runs, those of the same broker side by side."""
    return [column for file in sorted(folder.glob("*.json")) for column in read_columns(file)]


def counts(columns: Sequence[Column]) -> str:
    """Make the table of how many behaviours passed on each server."""
    lines = ["| server | behaviours passed | skipped, not offered | failed |", "|---|---|---|---|"]
    for one in columns:
        numbers = (one.count("passed"), one.count("skipped"), one.count("failed"))
        lines.append(f"| {name_of(one)} | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines) + "\n"


def name_of(column: Column) -> str:
    """Return what readers call the server: Redis 7.0.15, 1 shard."""
    name = column.server or column.broker
    return (name[:1].upper() + name[1:]).replace("Rabbitmq", "RabbitMQ")


def main() -> None:
    """Write the page and the README's block."""
    PAGE.write_text(page(), encoding="utf-8")
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
