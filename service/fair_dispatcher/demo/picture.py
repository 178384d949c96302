"""Draws how long each customer waits, first in first out beside fair, as PNG and SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from broker_core.errors import ConfigurationError
from fair_dispatcher.demo.ledger import CustomerWaits
from fair_dispatcher.demo.run import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "demo-waiting"

_TITLE = "One customer floods; served fairly, it alone waits"
_SUBTITLE = (
    "{:,} customers send {:,} messages over time, one sends {:,} at once.\n"
    "A dot is a customer: 95 % of its messages wait no longer than it shows."
)
_SHARE = 0.95
_SHORTEST_SECONDS = 0.0001
# Of the x axis, in messages.
_TEXT_COVERS = 700
_LEFT = 0.075
_LABEL_POINTS = 10
_SIZE_INCHES = (9.0, 5.1)
_DOTS_PER_INCH = 200
_FONTS = ("Inter", "Helvetica Neue", "Helvetica", "Arial", "Liberation Sans", "DejaVu Sans")

# The background is transparent. Each of these has a contrast of more than 3 : 1 to white and to black
# pages alike, the texts' more than 4 : 1.
_TEXT = "#6f7883"
_QUIET = "#3a83f0"
_FLOODER = "#e0592a"
_LINE_OPACITY = 0.28


def prepare(folder: Path) -> None:
    """Make the folder and see that drawing is possible. Raises ConfigurationError that says what to do."""
    try:
        import matplotlib  # noqa: F401 - only whether it is there
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"a picture needs the package {error.name}: pip install 'fair-dispatcher[pictures]'"
        ) from error
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)


def draw(outcomes: Sequence[Outcome], folder: Path) -> list[Path]:
    """Write `demo-waiting.png` and `.svg` into the folder, a panel for each outcome, the last one first.

    Returns their paths. Raises ConfigurationError if they can't be written.
    """
    from matplotlib import rc_context

    paths = [folder / f"{NAME}.png", folder / f"{NAME}.svg"]
    with rc_context(_style()), _explained(folder):
        figure = _figure(outcomes[::-1])
        for path in paths:
            # Without a date the same figures give the same file.
            metadata = {"Date": None} if path.suffix == ".svg" else {}
            figure.savefig(path, transparent=True, metadata=metadata)
    return paths


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"no picture can be written to {folder}: {error.strerror}") from error


def _style() -> dict[Any, Any]:  # of the library's own keys
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return {
        "font.family": [next((font for font in _FONTS if font in installed), "sans-serif")],
        "font.size": 9.5,
        "text.color": _TEXT,
        "axes.labelcolor": _TEXT,
        "axes.edgecolor": _TEXT,
        "xtick.color": _TEXT,
        "ytick.color": _TEXT,
        "figure.dpi": _DOTS_PER_INCH,
        "svg.fonttype": "path",
        "svg.hashsalt": NAME,
    }


def _figure(outcomes: Sequence[Outcome]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES)
    figure.subplots_adjust(left=_LEFT, right=0.985, top=0.725, bottom=0.12, wspace=0.06)
    figure.text(_LEFT, 0.95, _TITLE, fontsize=16, fontweight="bold", va="center")
    quiet, flooder = (_of(outcomes[0].customers, flooder=flooder) for flooder in (False, True))
    subtitle = _SUBTITLE.format(len(quiet), _messages(quiet), _messages(flooder))
    figure.text(_LEFT, 0.905, subtitle, va="top", linespacing=1.45)
    panels = figure.subplots(1, len(outcomes), sharex=True, sharey=True, squeeze=False)[0]
    _scale(panels[0], [one for outcome in outcomes for one in outcome.customers])
    for panel, outcome in zip(panels, outcomes, strict=True):
        _draw_panel(panel, outcome)
    panels[0].set_xlabel("messages that the customer sends", loc="left", labelpad=6)
    return figure


def _scale(panel: Axes, customers: Sequence[CustomerWaits]) -> None:
    """Set both axes to the data, with a tick for each power of ten."""
    waits = [*map(_wait, customers), 0.01, 1.0]
    counts = [*(len(one.waits) for one in customers), 100]
    panel.set(xscale="log", yscale="log")
    most, low, high = max(counts) * 2.5, min(waits) / 2, max(waits) * 3
    panel.set(xlim=(0.75, most), ylim=(low, high))
    panel.set_xticks(powers := _powers(1, most), [f"{count:,.0f}" for count in powers])
    panel.set_yticks(powers := _powers(low, high), [_power_in_words(wait) for wait in powers])
    panel.minorticks_off()


def _draw_panel(panel: Axes, outcome: Outcome) -> None:
    panel.set_title(outcome.lane.heading, loc="left", fontsize=12, fontweight="bold", pad=10)
    panel.tick_params(length=0, pad=6)
    panel.grid(axis="y", color=_TEXT, alpha=_LINE_OPACITY, linewidth=0.7)
    panel.set_axisbelow(True)
    for side in panel.spines.values():
        side.set_visible(False)
    if quiet := _of(outcome.customers, flooder=False):
        _dots(panel, quiet, _QUIET, size=13, opacity=0.6)
        middle = sorted(map(_wait, quiet))[len(quiet) // 2]
        text = f"{len(quiet):,} quiet customers: median {_in_words(middle)}"
        # Above all dots that the text could cover.
        height = max(_wait(one) for one in quiet if len(one.waits) <= max(_TEXT_COVERS, len(quiet[0].waits)))
        _label(panel, text, (1, height), "left", _QUIET)
    for one in _of(outcome.customers, flooder=True):
        _dots(panel, [one], _FLOODER, size=70, opacity=1.0)
        text = f"the flooder: {_in_words(_wait(one))}"
        _label(panel, text, (len(one.waits) * 1.3, _wait(one)), "right", _FLOODER)


def _dots(panel: Axes, customers: Sequence[CustomerWaits], colour: str, size: float, opacity: float) -> None:
    counts, waits = [len(one.waits) for one in customers], [*map(_wait, customers)]
    panel.scatter(counts, waits, s=size, color=colour, alpha=opacity, linewidths=0, clip_on=False)


def _label(
    panel: Axes, text: str, above: tuple[float, float], align: Literal["left", "right"], colour: str
) -> None:
    panel.annotate(
        text,
        above,
        xytext=(0, _clear_of_lines(panel, above[1])),
        textcoords="offset points",
        ha=align,
        color=colour,
        fontweight="bold",
    )


def _clear_of_lines(panel: Axes, height: float) -> float:
    """Return how many points above the height a text begins so that no line of the grid runs through it."""
    to_points = 72 / panel.figure.dpi

    def points(seconds: float) -> float:
        return float(panel.transData.transform((1, seconds))[1]) * to_points

    lines = [points(power) - points(height) for power in panel.get_yticks()]
    return next(
        offset
        for offset in range(_LABEL_POINTS, 10 * _LABEL_POINTS)
        if not any(offset - 3 < line < offset + _LABEL_POINTS for line in lines)
    )


def _of(customers: Sequence[CustomerWaits], *, flooder: bool) -> list[CustomerWaits]:
    return [one for one in customers if one.flooder is flooder]


def _messages(customers: Sequence[CustomerWaits]) -> int:
    return sum(len(one.waits) for one in customers)


def _wait(one: CustomerWaits) -> float:
    """Return the wait that is longer than those of a share of the customer's messages."""
    ranked = sorted(one.waits)
    return max(ranked[math.ceil(_SHARE * len(ranked)) - 1], _SHORTEST_SECONDS)


def _powers(low: float, high: float) -> list[float]:
    return [10.0**power for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]


def _power_in_words(seconds: float) -> str:
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"


def _in_words(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 0.995 else f"{seconds:.1f} s"
