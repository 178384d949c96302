"""The table of behaviours is what the recorded runs found, in any number of files."""

from __future__ import annotations

import pytest

from broker_core.conformance.table import Column, as_markdown, read_columns
from scripts.docs import conformance

pytest_plugins = ["pytester"]

A_RUN = """
    import pytest
    from broker_core.conformance.requirements import requires

    @pytest.fixture(params=["one", "two"])
    def harness(request):
        class Harness:
            server = f"server {request.param}"
            class features:
                proxy = False
        return Harness

    def test_a1_this_holds(harness): pass
    @pytest.mark.parametrize("times", [1, 2])
    def test_a2_this_holds_once(harness, times): assert times == 1
    @requires("proxy")
    def test_b10_this_is_not_offered(harness): pass
    def test_without_a_number(harness): pass
"""


def test_the_page_and_the_readme_are_fresh() -> None:
    told = (
        "run `make conformance-table`, or `python -m scripts.docs.conformance` if only the form has changed"
    )
    assert conformance.PAGE.read_text(encoding="utf-8") == conformance.page(), told
    text = conformance.README.read_text(encoding="utf-8")
    assert text == conformance.readme(text), told


def test_no_failure_is_recorded() -> None:
    columns = conformance.recorded()
    assert len(columns) >= 4
    for column in columns:
        assert column.count("failed") == 0, column.broker
        assert column.count("passed") > 100


def test_a_run_is_recorded(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_some=A_RUN)
    options = ["-p", "broker_core.conformance.plugin", "-p", "no:cacheprovider"]
    pytester.runpytest_subprocess(*options, "--conformance-table=runs/some.json")
    one, two = read_columns(pytester.path / "runs" / "some.json")
    assert (one.broker, one.server, two.server) == ("some one", "server one", "server two")
    assert one.outcomes == {
        "A1 this holds": "passed",
        "A2 this holds once": "failed",
        "B10 this is not offered": "skipped",
    }
    assert one.skipped == {"B10 this is not offered": "not offered: proxy"}
    assert one.size == "short"


def test_runs_stand_side_by_side() -> None:
    first = Column("first", outcomes={"A1 x": "passed", "A10 y": "skipped"}, skipped={"A10 y": "why"})
    second = Column("second", outcomes={"A2 z": "failed"})
    assert as_markdown([first, second]).splitlines() == [
        "| behaviour | first | second |",
        "|---|---|---|",
        "| A1 x | ✓ |  |",
        "| A2 z |  | **✗** |",
        "| A10 y | – |  |",
        "",
        "- first: why",
    ]
    assert conformance.counts([first, second]).splitlines()[2:] == [
        "| First | 1 | 1 | 0 |",
        "| Second | 0 | 0 | 1 |",
    ]
