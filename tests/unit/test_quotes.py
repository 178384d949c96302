"""Numbers that texts quote are those of the recorded results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import quotes
from scripts.quotes import quotes_in, refreshed

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: str(text.relative_to(ROOT)))
def test_every_quoted_number_is_the_recorded_one(text: Path) -> None:
    for quote in quotes_in(text.read_text("utf-8")):
        assert quote.number == quote.today(), f"{quote.file}: {quote.path}; python -m scripts.quotes {text}"


def test_a_number_is_found_by_the_names_on_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotes, "RESULTS", tmp_path)
    figures = [{"label": "publish", "median": 1234.5}, {"label": "consume", "median": 0.5}]
    recorded = {"results": [{"scenario": "fast", "figures": figures}], "plain": {"deep": 3}}
    (tmp_path / "r.json").write_text(json.dumps(recorded))
    text = "0<!-- r.json: fast > publish --> 0.4<!-- r.json: fast > consume -->9<!-- r.json: plain > deep -->"
    assert [quote.today() for quote in quotes_in(text)] == ["1,234", "0.5", "3"]
    assert refreshed(text).startswith("1,234<!-- r.json: fast > publish --> 0.5<!--")


def test_a_number_that_was_not_recorded_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotes, "RESULTS", tmp_path)
    (tmp_path / "r.json").write_text('{"results": [{"scenario": "fast"}]}')
    (quote,) = quotes_in("7<!-- r.json: slow > publish -->")
    with pytest.raises(KeyError, match="slow"):
        quote.today()
