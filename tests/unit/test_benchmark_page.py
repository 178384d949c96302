"""The page of the benchmarks shows the newest recorded results, and every file of them."""

from __future__ import annotations

from bench import summary
from bench.full import STEPS
from bench.recorded import FOLDER


def test_page_is_that_of_the_recorded_results() -> None:
    page = "\n".join(summary.page()).rstrip() + "\n"
    assert (FOLDER / "README.md").read_text("utf-8") == page, "python -m bench.summary"


def test_every_file_has_its_place_on_the_page() -> None:
    recorded = {file.name for file in FOLDER.glob("*/*")}
    assert recorded <= set(summary.ABOUT)
    assert [step.file for step in STEPS] == list(summary.ABOUT)
