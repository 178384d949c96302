"""Writes the pages: `python -m scripts.docs`."""

from __future__ import annotations

from scripts.docs.pages import FOLDER, PAGES


def main() -> None:
    """Write every page anew."""
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
