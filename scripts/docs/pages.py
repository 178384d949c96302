"""Which pages there are, and what makes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scripts.docs import adapters, api, command_line, environment, http, proven

FOLDER = Path(__file__).resolve().parents[2] / "docs"
PAGES: dict[str, Callable[[], str]] = {
    "../compose/.env.example": environment.page,
    "adapters.md": adapters.page,
    "api.md": api.page,
    "command-line.md": command_line.page,
    "http.md": http.page,
    "proven.md": proven.page,
}
