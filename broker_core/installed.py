"""Names the adapters among the installed packages, without loading any."""

from __future__ import annotations

from importlib.metadata import entry_points

ENTRY_POINT_GROUP = "fair_dispatcher.adapters"


def adapter_names() -> list[str]:
    """Name the installed adapters, sorted."""
    return sorted({entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)})
