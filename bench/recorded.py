"""Where results are recorded: a folder a day, not changed any more once a decision record quotes it."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"


def newest(name: str) -> Path | None:
    """Return the file of that name of the latest day that has one; None if it was never recorded."""
    return max(FOLDER.glob(f"2[0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]/{name}"), default=None)
