"""Links of the documentation lead somewhere, what it names exists, and its examples run."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import re
import runpy
from pathlib import Path

import pytest

from broker_core.settings import BROKER_VARIABLE, SERVICE_PREFIX, DispatcherSettings, variables_of
from fair_dispatcher.http.settings import ServiceSettings
from scripts.docs.shipped import adapters

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r'\]\(([^)\s]+)\)|(?:src|href|srcset)="([^"\s]+)"')
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)
each_doc = pytest.mark.parametrize("page", DOCS, ids=name_of)


def targets(page: Path) -> set[str]:
    text = CODE.sub("", page.read_text("utf-8"))
    found = {one or other for one, other in LINK.findall(text)}
    return {target for target in found if not re.match(r"[a-z]+:", target)}


def anchors(page: Path) -> set[str]:
    """The names that a heading can be linked by, as hosting sites make them."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in targets(page):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{target} does not exist"
        assert linked.is_relative_to(ROOT), f"{target} is outside of the repository"
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked), f"{target}: no such heading"


@pytest.fixture(scope="module")
def tests() -> set[str]:
    folders = (ROOT / "tests", ROOT / "broker_core" / "conformance", ROOT / "examples")
    files = [file for folder in folders for file in folder.rglob("*.py")]
    return {
        node.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    } | {file.stem for file in files}


@each_doc
def test_tests_that_are_named_exist(page: Path, tests: set[str]) -> None:
    named = set(re.findall(r"\btest_\w+", page.read_text("utf-8")))
    assert named <= tests, f"no such tests: {sorted(named - tests)}"


@each_page
def test_settings_that_are_named_exist(page: Path) -> None:
    types: list[type[DispatcherSettings]] = [DispatcherSettings]
    types += [adapter.settings_type for adapter in adapters().values()]
    known = {
        variable
        for settings in types
        for name, field in settings.model_fields.items()
        for variable in variables_of(name, field)
    } | {BROKER_VARIABLE}
    known |= {
        variable
        for name, field in ServiceSettings.model_fields.items()
        for variable in variables_of(name, field, SERVICE_PREFIX)
    }
    named = set(re.findall(r"`[^`\n]*?\b(FAIRDISPATCH_[A-Z_]*[A-Z])\b[^`\n]*`", page.read_text("utf-8")))
    assert named <= known, f"no such settings: {sorted(named - known)}"


@each_page
def test_modules_that_are_run_exist(page: Path) -> None:
    for module in re.findall(r"python -m ([a-z_]+(?:\.[a-z_]+)*)", page.read_text("utf-8")):
        assert importlib.util.find_spec(module), f"python -m {module}"


@each_page
def test_examples_print_what_they_say(page: Path) -> None:
    failed, _ = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert not failed


def test_the_ready_ring_is_drawn_as_the_scheduler_works() -> None:
    drawn = runpy.run_path(str(ROOT / "docs" / "pictures" / "ready_ring.py"))["picture"]()
    assert (ROOT / "docs" / "pictures" / "ready-ring.svg").read_text("utf-8") == drawn, (
        "run `python docs/pictures/ready_ring.py`"
    )


def test_fairness_is_shown_by_an_example_that_ran() -> None:
    examples = doctest.DocTestParser().get_examples((ROOT / "docs" / "fairness.md").read_text("utf-8"))
    assert len(examples) > 10
