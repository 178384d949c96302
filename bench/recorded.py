"""Where results are recorded: a folder a day, not changed any more once a decision record quotes it."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"


def newest_folder() -> Path:
    """Return the folder of the latest day."""
    return max(FOLDER.glob("2[0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"))
