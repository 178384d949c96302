"""Numbers in texts that stand in a file of results: `12,345<!-- DATE/redis7.json: scenario > label -->`.

The comment doesn't show. It names a file of docs/benchmarks and where in it the number is: names of members,
or of a list's members by what they call themselves (name, scenario, label, kind, count). A figure stands for
its median; `lowest`, `highest` and `n` are members of it, as of a plain list of numbers.
`python -m scripts.quotes FILE…` writes the numbers of the files that they name into the texts.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "docs" / "benchmarks"
QUOTE = re.compile(r"(?P<number>-?[\d,]+(?:\.\d+)?)<!-- (?P<file>[\w./-]+\.json): (?P<path>.+?) -->")
_NAMES = ("name", "scenario", "label", "kind", "count")


@dataclass(frozen=True, slots=True)
class Quote:
    """A number as it is written, and where it comes from."""

    number: str
    file: str
    path: str

    @property
    def digits(self) -> int:
        """How many digits follow the point."""
        return len(self.number.partition(".")[2])

    def today(self) -> str:
        """Return the number of today's results, written with as many digits; KeyError if there is none."""
        data = json.loads((RESULTS / self.file).read_text("utf-8"))
        return f"{_find(data, self.path.split(' > ')):,.{self.digits}f}"


def quotes_in(text: str) -> Iterator[Quote]:
    """Yield the quotes of a text."""
    for match in QUOTE.finditer(text):
        yield Quote(match["number"], match["file"], match["path"])


def refreshed(text: str) -> str:
    """Return the text with the numbers of today's results."""
    return QUOTE.sub(
        lambda match: (
            Quote(match["number"], match["file"], match["path"]).today()
            + match[0].removeprefix(match["number"])
        ),
        text,
    )


def _find(data: Any, path: list[str]) -> float:
    for name in path:
        if isinstance(data, dict) and name not in data and "results" in data:
            data = data["results"]
        data = _member(data, name)
    if isinstance(data, dict) and "median" in data:
        data = data["median"]
    if isinstance(data, list):
        data = statistics.median(data)
    if not isinstance(data, int | float):
        raise KeyError(f"{' > '.join(path)} is no number")
    return float(data)


_OF_LISTS: dict[str, Callable[[list[float]], float]] = {"lowest": min, "highest": max, "n": len}


def _member(data: Any, name: str) -> Any:
    if name in _OF_LISTS and (isinstance(data, list) or "values" in data):
        return _OF_LISTS[name](data if isinstance(data, list) else data["values"])
    if isinstance(data, dict):
        if name not in data and "figures" in data:
            return _member(data["figures"], name)
        if name not in data and "steps" in data:
            return _member(data["steps"], name)
        return data[name]
    found = [one for one in data if any(str(one.get(key)) == name for key in _NAMES)]
    if len(found) != 1:
        raise KeyError(f"{len(found)} of the list are called {name!r}")
    return found[0]


def main(files: list[str]) -> None:
    """Refresh the files."""
    for name in files:
        file = Path(name)
        file.write_text(refreshed(file.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
