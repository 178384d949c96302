"""Draws ready-ring.svg from what the scheduler really does: `python docs/pictures/ready_ring.py`."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from broker_core.fairness import DeficitRoundRobin

QUANTUM, ROUNDS = 2, 3
FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif"
# No background: each colour can be read on light and on dark pages.
TEXT, LINE = "#6f7883", "#9aa3ad"

WIDTH, HEIGHT = 900, 392
CENTRE_X, CENTRE_Y, RADIUS = 176, 206, 92
LANES_X, LANES_Y, LANE_HEIGHT, UNIT = 410, 112, 82, 17


@dataclass(frozen=True, slots=True)
class Customer:
    """Of the worked example. cost: of each message. angle: of its place on the ring, degrees."""

    name: str
    weight: int
    cost: int
    colour: str
    angle: float


CUSTOMERS = (
    Customer("acme", 1, 1, "#3a83f0", -90),
    Customer("bolt", 2, 1, "#1f9d72", 30),
    Customer("cara", 1, 3, "#e0592a", 150),
)


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit of the scheduler. start: units handed over to all before. had, left: deficit around it."""

    customer: Customer
    start: int
    had: int
    messages: int
    left: int


def visits() -> Iterator[Visit]:
    """Let the scheduler run and tell of every visit, also of those that can't pay for a message."""
    weights = {one.name: one.weight for one in CUSTOMERS}
    costs = {one.name: one.cost for one in CUSTOMERS}
    scheduler = DeficitRoundRobin(QUANTUM, weights.__getitem__)
    for one in CUSTOMERS:
        scheduler.join(one.name)
    start = 0
    deficits = dict.fromkeys(weights, 0)
    for _ in range(ROUNDS):
        for one in CUSTOMERS:
            had = deficits[one.name]
            affordable = (had + QUANTUM * one.weight) // one.cost
            for _ in range(affordable):
                name = scheduler.next_customer(costs.get)
                if name != one.name:
                    raise AssertionError(f"{name} was chosen instead of {one.name}")
                scheduler.charge(one.cost)
            left = had + QUANTUM * one.weight - affordable * one.cost
            deficits[one.name] = left
            yield Visit(one, start, had, affordable, left)
            start += affordable * one.cost


def text(
    x: float,
    y: float,
    what: str,
    colour: str = TEXT,
    size: float = 13,
    anchor: str = "start",
    bold: bool = False,
) -> str:
    """Write."""
    weight = ' font-weight="600"' if bold else ""
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-size="{size:g}"{weight}>{escape(what)}</text>'


def block(x: float, y: float, width: float, height: float, colour: str, opacity: float = 1) -> str:
    """Draw a message, as wide as its cost."""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" '
        f'fill="{colour}" fill-opacity="{opacity:g}"/>'
    )


def on_ring(angle: float, radius: float = RADIUS) -> tuple[float, float]:
    """Return the place at an angle, degrees clockwise from the right."""
    return (
        round(CENTRE_X + radius * math.cos(math.radians(angle)), 1),
        round(CENTRE_Y + radius * math.sin(math.radians(angle)), 1),
    )


def ring() -> Iterator[str]:
    """Draw the customers around the ring, with what they have waiting outside of it."""
    yield text(24, 74, "The ready ring", bold=True, size=15)
    for one in CUSTOMERS:
        from_x, from_y = on_ring(one.angle + 23)
        to_x, to_y = on_ring(one.angle + 98)
        yield (
            f'<path d="M{from_x:g} {from_y:g} A{RADIUS} {RADIUS} 0 0 1 {to_x:g} {to_y:g}" fill="none" '
            f'stroke="{LINE}" stroke-width="1.5" marker-end="url(#arrow)"/>'
        )
    for one in CUSTOMERS:
        x, y = on_ring(one.angle)
        yield f'<circle cx="{x:g}" cy="{y:g}" r="25" fill="none" stroke="{one.colour}" stroke-width="2"/>'
        yield text(x, y + 4.5, one.name, one.colour, 13, "middle", bold=True)
    yield text(CENTRE_X, CENTRE_Y - 2, "visited one", size=12, anchor="middle")
    yield text(CENTRE_X, CENTRE_Y + 15, "after the other", size=12, anchor="middle")
    head_x, head_y = on_ring(CUSTOMERS[0].angle)
    yield text(head_x + 32, head_y - 16, "the head,", size=11.5)
    yield text(head_x + 32, head_y - 1, "visited now", size=11.5)
    tail_x, tail_y = on_ring(208, RADIUS + 4)
    yield (
        f'<path d="M{tail_x - 46:g} {tail_y - 22:g} L{tail_x - 3:g} {tail_y - 2:g}" stroke="{LINE}" '
        'stroke-width="1.5" stroke-dasharray="4 4" marker-end="url(#arrow)"/>'
    )
    yield text(24, tail_y - 44, "newcomers", size=11.5)
    yield text(24, tail_y - 29, "join here", size=11.5)
    yield text(24, HEIGHT - 26, "Customers with nothing ready are not in it.", size=11.5)


def lanes() -> Iterator[str]:
    """Draw what was handed over, in order, a lane for each customer."""
    done = list(visits())
    total = sum(one.messages * one.customer.cost for one in done)
    yield text(
        LANES_X - 86, 74, f"What is handed over in {ROUNDS} rounds, quantum {QUANTUM}", bold=True, size=15
    )
    for number, customer in enumerate(CUSTOMERS):
        y = LANES_Y + number * LANE_HEIGHT
        mine = [one for one in done if one.customer is customer]
        units = sum(one.messages * customer.cost for one in mine)
        yield text(LANES_X - 86, y + 9, customer.name, customer.colour, 13, bold=True)
        yield text(LANES_X - 86, y + 25, f"weight {customer.weight}", size=11.5)
        yield text(LANES_X - 86, y + 40, f"cost {customer.cost}", size=11.5)
        yield (
            f'<line x1="{LANES_X}" x2="{LANES_X + total * UNIT}" y1="{y + 24}" y2="{y + 24}" '
            f'stroke="{LINE}" stroke-opacity="0.5"/>'
        )
        for visit in mine:
            yield from _visit(visit, y)
        yield text(LANES_X + total * UNIT + 14, y + 15, f"{units} units", customer.colour, 13, bold=True)
    right = LANES_X + total * UNIT
    yield text(
        right, HEIGHT - 26, f"{total} units of cost, from left to right in order", size=11.5, anchor="end"
    )


def _visit(visit: Visit, y: float) -> Iterator[str]:
    customer, x = visit.customer, LANES_X + visit.start * UNIT
    for number in range(visit.messages):
        yield block(x + number * customer.cost * UNIT + 1, y, customer.cost * UNIT - 2, 20, customer.colour)
    if visit.left or visit.had:
        width = max(visit.messages * customer.cost * UNIT, 1)
        grant = QUANTUM * customer.weight
        had = f"{visit.had} + " if visit.had else ""
        spent = f" − {visit.messages * customer.cost}" if visit.messages else ""
        note = f"{had}{grant}{spent}"
        note += f" = {visit.left}" if had or spent else ""
        yield text(x + width / 2, y + 39, note, size=11.5, anchor="middle")
        if not visit.messages:
            circle = f'cx="{x:g}" cy="{y + 24:g}" r="3.5"'
            yield f'<circle {circle} fill="none" stroke="{customer.colour}" stroke-width="1.5"/>'
            yield text(x, y + 53, f"less than {customer.cost}: kept", size=11.5, anchor="middle")


def picture() -> str:
    """Return the whole as SVG."""
    arrow = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0.5 L7 4 L0 7.5 Z" fill="{LINE}"/></marker></defs>'
    )
    title = "Deficit round robin: each visit grants quantum × weight; what is too little is kept"
    body = "\n".join(
        [arrow, f"<title>{title}</title>", text(24, 34, title, size=19, bold=True), *ring(), *lanes()]
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="{FONT}">\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    Path(__file__).with_name("ready-ring.svg").write_text(picture(), "utf-8")
