"""The demo's picture shows every customer, can be read on any page, and is not needed for the demo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from broker_core.errors import ConfigurationError
from fair_dispatcher.demo import picture
from fair_dispatcher.demo.lanes import FAIR, FIFO, Lane
from fair_dispatcher.demo.ledger import CustomerWaits, Waits
from fair_dispatcher.demo.run import Outcome

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
PNG_START = b"\x89PNG\r\n\x1a\n"
SMALL = ("--messages", "200", "--burst", "200", "--consumers", "2")


def outcome(lane: Lane, *customers: CustomerWaits) -> Outcome:
    return Outcome(lane, 100, 1.0, Waits(), Waits(), customers, 1.0, 0, 0, 0)


def customer(name: str, *waits: float, flooder: bool = False) -> CustomerWaits:
    return CustomerWaits(name, flooder, waits)


FAIR_OUTCOME = outcome(
    FAIR,
    customer("a", 0.02),
    customer("b", 0.03, 0.01),
    customer("c", *[0.04] * 30),
    customer("f", *[8.0] * 5000, flooder=True),
)
FIFO_OUTCOME = outcome(
    FIFO,
    customer("a", 3.5),
    customer("b", 4.0, 0.5),
    customer("c", *[5.0] * 30),
    customer("f", *[6.0] * 5000, flooder=True),
)


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Figure:
    drawn: list[Figure] = []
    make = picture._figure

    def make_and_keep(outcomes: list[Outcome]) -> Figure:
        drawn.append(make(outcomes))
        return drawn[0]

    monkeypatch.setattr(picture, "_figure", make_and_keep)
    picture.draw([FAIR_OUTCOME, FIFO_OUTCOME], tmp_path)
    return drawn[0]


def test_png_and_svg_are_written_and_small(tmp_path: Path) -> None:
    png, svg = picture.draw([FAIR_OUTCOME, FIFO_OUTCOME], tmp_path)
    assert (png.name, svg.name) == ("demo-waiting.png", "demo-waiting.svg")
    assert png.read_bytes().startswith(PNG_START)
    assert ElementTree.parse(svg).getroot().tag.endswith("}svg")
    assert png.stat().st_size < 200_000


def test_the_same_outcome_gives_the_same_files(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in picture.draw([FAIR_OUTCOME, FIFO_OUTCOME], tmp_path)]
    assert [path.read_bytes() for path in picture.draw([FAIR_OUTCOME, FIFO_OUTCOME], tmp_path)] == first


def test_first_in_first_out_is_left_and_fair_is_right_on_one_logarithmic_scale(figure: Figure) -> None:
    left, right = figure.axes
    assert left.get_title("left") == "First in, first out"
    assert right.get_title("left") == "Fair among customers"
    assert left.get_yscale() == right.get_yscale() == "log"
    assert left.get_ylim() == right.get_ylim()


def test_there_is_a_dot_for_each_customer_at_the_wait_of_95_percent(figure: Figure) -> None:
    left, right = figure.axes
    assert [*dots_of(left), *dots_of(right)] == [
        [(1, 3.5), (2, 4.0), (30, 5.0)],
        [(5000, 6.0)],
        [(1, 0.02), (2, 0.03), (30, 0.04)],
        [(5000, 8.0)],
    ]


def test_the_flooder_is_marked_and_the_scenario_is_told(figure: Figure) -> None:
    texts = [text.get_text() for panel in figure.axes for text in panel.texts]
    assert texts == [
        "3 quiet customers: median 4.0 s",
        "the flooder: 6.0 s",
        "3 quiet customers: median 30 ms",
        "the flooder: 8.0 s",
    ]
    assert (
        figure.texts[1]
        .get_text()
        .startswith("3 customers send 33 messages over time, one sends 5,000 at once.")
    )


def test_nothing_drawn_lies_outside_of_the_scale(figure: Figure) -> None:
    for panel in figure.axes:
        (left, right), (bottom, top) = panel.get_xlim(), panel.get_ylim()
        for x, y in (dot for dots in dots_of(panel) for dot in dots):
            assert left < x < right
            assert bottom < y < top


def dots_of(panel: Axes) -> list[list[tuple[float, float]]]:
    return [[(x, y) for x, y in np.asarray(dots.get_offsets()).tolist()] for dots in panel.collections]


@pytest.mark.parametrize("page", ["#ffffff", "#0d1117", "#000000"])
def test_colours_can_be_read_on_light_and_dark_pages(page: str) -> None:
    assert contrast(picture._TEXT, page) > 4
    assert contrast(picture._QUIET, page) > 3
    assert contrast(picture._FLOODER, page) > 3


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.1."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    parts = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (red, green, blue)
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_lanes_in_which_nothing_was_handed_over_can_be_drawn(tmp_path: Path) -> None:
    assert len(picture.draw([outcome(FAIR), outcome(FIFO)], tmp_path)) == 2


def test_a_folder_that_can_not_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="file"):
        picture.prepare(tmp_path / "file" / "folder")


def test_the_command_makes_it(tmp_path: Path) -> None:
    folder, temporary = tmp_path / "new" / "folder", tmp_path / "temporary"
    temporary.mkdir()
    finished = demo(*SMALL, "--picture", str(folder), "--json", TMPDIR=str(temporary))
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["fair"]["lost"] == 0
    assert {path.name for path in folder.iterdir()} == {"demo-waiting.png", "demo-waiting.svg"}
    assert not list(temporary.iterdir())


def test_without_matplotlib_there_is_a_demo_but_no_picture(tmp_path: Path) -> None:
    lacking = tmp_path / "matplotlib.py"
    lacking.write_text("raise ModuleNotFoundError('no', name='matplotlib')")
    refused = demo(*SMALL, "--picture", str(tmp_path), PYTHONPATH=str(tmp_path))
    assert refused.returncode == 2
    assert "pip install 'fair-dispatcher[pictures]'" in refused.stderr
    assert refused.stdout == ""
    finished = demo(*SMALL, PYTHONPATH=str(tmp_path))
    assert finished.returncode == 0, finished.stderr


def demo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if name not in {"BROKER", "REDIS_URL"}}
    return subprocess.run(
        [sys.executable, "-m", "fair_dispatcher", "demo", *arguments],
        capture_output=True,
        text=True,
        env={**plain, **environment},
        timeout=90,
        check=False,
    )


def test_the_picture_of_the_documentation_is_small_and_of_this_kind() -> None:
    png, svg = (PICTURES / f"{picture.NAME}{kind}" for kind in (".png", ".svg"))
    assert png.read_bytes().startswith(PNG_START)
    assert png.stat().st_size < 200_000
    assert svg.stat().st_size < 200_000
    assert picture._QUIET in svg.read_text("utf-8")
    assert picture._FLOODER in svg.read_text("utf-8")
