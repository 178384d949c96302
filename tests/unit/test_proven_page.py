"""The page on what is proven is what the tests declare, and every test that it names exists."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from scripts.docs import proven
from scripts.docs.faults import INVARIANTS
from scripts.docs.pages import FOLDER

ROOT = Path(__file__).resolve().parents[2]


@cache
def names_in(file: str) -> set[str]:
    """Name the tests that are written in a file, as `test` and `Class::test`."""
    found = set()
    for node in ast.parse((ROOT / file).read_text("utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {
            prefix + one.name for one in members if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))
        }
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}


def test_the_page_is_fresh() -> None:
    assert (FOLDER / "proven.md").read_text(encoding="utf-8") == proven.page(), "run `make docs`"


def test_every_test_that_is_named_exists() -> None:
    named = list(proven.named_tests())
    assert len(named) > 80
    for node in named:
        file, test = node.split("::", 1)
        assert test in names_in(file), node


def test_every_invariant_of_the_checker_is_listed() -> None:
    assert set(INVARIANTS) == set(proven.checked_invariants())
