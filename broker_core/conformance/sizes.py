"""How much work a test does, chosen for a whole run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

SizeName = Literal["short", "full", "stress"]
SIZE_NAMES: tuple[SizeName, ...] = get_args(SizeName)


@dataclass(frozen=True, slots=True)
class Size:
    """One of short (each change), full (nightly) and stress (before a release)."""

    name: SizeName

    def pick(self, *, short: int, full: int, stress: int | None = None) -> int:
        """Return the number for this size; stress is like full unless it has its own."""
        if self.name == "short":
            return short
        return full if self.name == "full" or stress is None else stress
