"""Draws the newest recorded results: `python -m bench.pictures` writes docs/pictures/*.png and *.svg.

The background is transparent; every colour has a contrast of more than 3 : 1 to white and to black pages.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.peers.catalogue import PEERS, PRODUCT
from bench.recorded import newest

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
TEXT, OWN, OTHER = "#6f7883", "#3a83f0", "#8a94a0"
COLOURS = {"redis7": OWN, "rabbitmq": "#e0592a", "kafka": "#b07cd8"}
BROKERS = {"redis7": "Redis", "rabbitmq": "RabbitMQ", "kafka": "Kafka"}
PEAK = 5_000
PRODUCT_ON_REDIS = (PRODUCT, "fair_dispatcher_worker")

Recorded = Mapping[str, Any]


def _read(name: str) -> Recorded | None:
    file = newest(name)
    recorded: Recorded | None = json.loads(file.read_text("utf-8")) if file is not None else None
    return recorded


def _figures(recorded: Recorded, scenario: str) -> dict[str, dict[str, float]]:
    """Return the medians of a scenario by kind of server and label."""
    return {
        result["server_settings"]["kind"]: {one["label"]: one["median"] for one in result["figures"]}
        for result in recorded["results"]
        if result["scenario"] == scenario and result["server_settings"]["append_only"] == "no"
    }


def peers(axis: Axes) -> bool:
    """Draw how many messages a second each published library consumes, and this product."""
    recorded = _read("peers.json")
    if recorded is None:
        return False
    shown = [
        one
        for one in PEERS
        if (one.published or one.key in PRODUCT_ON_REDIS) and recorded["raw"].get(one.key)
    ]
    rate = {
        one.key: statistics.median(found["consume"] for found in recorded["raw"][one.key]) for one in shown
    }
    shown.sort(key=lambda one: rate[one.key])
    bars = axis.barh(
        [f"{one.label}{', fair' if one.fair else ''}" for one in shown],
        [rate[one.key] for one in shown],
        color=[OWN if one.key in PRODUCT_ON_REDIS else OTHER for one in shown],
    )
    axis.bar_label(bars, [f"{rate[one.key]:,.0f}" for one in shown], padding=4, color=TEXT, fontsize=9)
    axis.set_xlim(0, max(rate.values()) * 1.15)
    axis.set_xlabel("messages a second, consumed and acked; each alone on one Redis")
    axis.tick_params(axis="y", length=0)
    return True


def offered_load(axis: Axes) -> bool:
    """Draw the p99 of waiting against the messages that are offered a second, in publishes of ten."""
    redis, all_three = _read("redis7.json"), _read("brokers.json")
    if redis is None or all_three is None:
        return False
    found = _figures(all_three, "offered_load_modest")
    for kind, more in _figures(redis, "offered_load").items():
        found[kind] = found.get(kind, {}) | more
    for kind, labels in found.items():
        points = sorted(
            (int(label.split("/s")[0].replace(",", "")), value)
            for label, value in labels.items()
            if label.endswith("publishes of 10: p99 wait")
        )
        axis.plot(*zip(*points, strict=True), marker="o", color=COLOURS[kind], label=BROKERS[kind])
    axis.axvline(PEAK, color=TEXT, linewidth=0.8, linestyle="--")
    axis.text(PEAK, 0.97, " 5,000/s", color=TEXT, va="top", transform=axis.get_xaxis_transform())
    axis.set(
        xscale="log", yscale="log", ylabel="p99 from due moment to handler, ms", xlabel="messages a second"
    )
    axis.legend(frameon=False, labelcolor=TEXT)
    return True


def customers(axis: Axes) -> bool:
    """Draw messages a second, from publish to ack, against the number of customers."""
    redis, all_three = _read("redis7.json"), _read("brokers.json")
    if redis is None or all_three is None:
        return False
    for kind, labels in (
        _figures(all_three, "customers_few_messages") | _figures(redis, "customers")
    ).items():
        points = sorted(
            (int(label.split(" ")[0].replace(",", "")), value)
            for label, value in labels.items()
            if label.endswith(": end to end")
        )
        axis.plot(*zip(*points, strict=True), marker="o", color=COLOURS[kind], label=BROKERS[kind])
    axis.set(
        xscale="log", yscale="log", ylabel="messages a second", xlabel="customers with something waiting"
    )
    axis.legend(frameon=False, labelcolor=TEXT)
    return True


PICTURED: dict[str, tuple[Callable[[Axes], bool], tuple[float, float]]] = {
    "peers": (peers, (9, 2.9)),
    "offered-load": (offered_load, (9, 3.6)),
    "customers": (customers, (9, 3.6)),
}


def draw_all(into: Path = PICTURES) -> None:
    """Draw each picture whose figures are there."""
    for name, (draw, size) in PICTURED.items():
        style: dict[Any, Any] = {  # of the library's own keys
            "text.color": TEXT,
            "axes.labelcolor": TEXT,
            "axes.edgecolor": TEXT,
            "xtick.color": TEXT,
            "ytick.color": TEXT,
            "svg.hashsalt": name,
            "font.size": 9.5,
        }
        with mpl.rc_context(style):
            figure = Figure(figsize=size)
            axis = figure.subplots()
            if not draw(axis):
                continue
            for side in ("top", "right"):
                axis.spines[side].set_visible(False)
            for scale in (axis.xaxis, axis.yaxis):
                if scale.get_scale() == "log":
                    scale.set_major_locator(LogLocator(subs=(1, 2, 5)))
                    scale.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
                    scale.set_minor_formatter(NullFormatter())
            figure.tight_layout()
            for kind in ("png", "svg"):
                # Without a date the same figures give the same file.
                metadata = {"Date": None} if kind == "svg" else {}
                figure.savefig(into / f"{name}.{kind}", transparent=True, dpi=200, metadata=metadata)


if __name__ == "__main__":
    draw_all()
