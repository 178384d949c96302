"""The guide to writing an adapter shows what the example really contains."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "writing-an-adapter.md"
EXAMPLE = "examples/sqlite_adapter/"

_BLOCK = re.compile(r"^(?:<!-- (\S+) -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMANDS = "bash"


def blocks() -> Iterator[tuple[str, str, str]]:
    """Yield source, language and text of each block; the source is "" where none is named."""
    yield from _BLOCK.findall(GUIDE.read_text("utf-8"))


def test_every_block_of_code_names_its_source() -> None:
    found = list(blocks())
    assert len(found) > 10
    assert {language for source, language, _ in found if not source} == {_COMMANDS}
    assert all(source.startswith(EXAMPLE) for source, *_ in found if source)


@pytest.mark.parametrize(("source", "text"), [(source, text) for source, _, text in blocks() if source])
def test_a_block_of_code_is_as_in_its_source(source: str, text: str) -> None:
    assert text in (ROOT / source).read_text("utf-8"), f"{source} has changed: copy the lines into the guide"
