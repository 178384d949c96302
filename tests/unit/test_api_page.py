"""The reference of the API is what the docstrings say, and leaves out no public name."""

from __future__ import annotations

import broker_core
from broker_core import errors
from scripts.docs import api
from scripts.docs.docstrings import markdown
from scripts.docs.pages import FOLDER


def test_the_page_is_fresh() -> None:
    assert (FOLDER / "api.md").read_text(encoding="utf-8") == api.page(), "run `make docs`"


def test_every_public_name_is_described() -> None:
    assert api.documented_names() == set(broker_core.__all__)
    page = api.page()
    for name in vars(errors):
        if isinstance(vars(errors)[name], type) and issubclass(vars(errors)[name], errors.DispatcherError):
            assert f"\n### {name}\n" in page


def test_every_setting_is_described() -> None:
    page = api.page()
    for name, field in broker_core.DispatcherSettings.model_fields.items():
        assert f"| `{name}` | `FAIRDISPATCH_{name.upper()}` | `{field.default}` |" in page


def test_explanations_become_a_list() -> None:
    text = (
        "What it is. limit: no name here.\n"
        "\n"
        "weight: the share,\n"
        "1 to 10. cost, size: two\n"
        "together.\n"
        "other: not a name, so text of the one before.\n"
        "Raises an error: sometimes.\n"
        "\n"
        "The end."
    )
    assert markdown(text, {"weight", "cost", "size"}) == (
        "What it is. limit: no name here.\n"
        "\n"
        "- `weight`: the share,\n"
        "  1 to 10.\n"
        "- `cost`, `size`: two\n"
        "  together.\n"
        "  other: not a name, so text of the one before.\n"
        "\n"
        "Raises an error: sometimes.\n"
        "\n"
        "The end."
    )
