"""First in first out, plain round robin and deficit round robin, served alike: `python -m bench.schedulers`.

After the comparison in M. Shreedhar and G. Varghese, "Efficient Fair Queuing using Deficit Round Robin",
SIGCOMM 1995: twenty flows with sizes drawn at random share one link, one of them sends three times as much
as the others. Here customers and costs; two more customers show what plain round robin doesn't see: one
whose messages all have the largest cost, one whose all have the smallest. No broker is involved.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from bench import report
from broker_core.fairness import DeficitRoundRobin

CUSTOMERS, GREEDY, COSTLY, CHEAP = 20, 9, 14, 4
LARGEST, QUANTUM = 20, 20
SERVED = 200_000
SEED = 1995

Arrivals = list[tuple[int, int]]
Service = dict[int, int]


def arrivals(chance: random.Random) -> Arrivals:
    """Draw (customer, cost) in order of arrival, so many that nobody's queue runs dry."""
    costs: Mapping[int, Callable[[], int]] = {COSTLY: lambda: LARGEST, CHEAP: lambda: 1}
    drawn: Arrivals = []
    # Each offers the same cost a round, the greedy one three times it: more messages where they are cheap.
    for _ in range(2 * SERVED // (CUSTOMERS * LARGEST)):
        round_of_all: Arrivals = []
        for customer in range(CUSTOMERS):
            left = LARGEST * (3 if customer == GREEDY else 1)
            while left > 0:
                cost = costs.get(customer, lambda: chance.randint(1, LARGEST))()
                round_of_all.append((customer, cost))
                left -= cost
        chance.shuffle(round_of_all)
        drawn += round_of_all
    return drawn


def first_in_first_out(drawn: Arrivals) -> Iterator[tuple[int, int]]:
    """Serve in order of arrival."""
    yield from drawn


def plain_round_robin(drawn: Arrivals) -> Iterator[tuple[int, int]]:
    """Serve one message a customer and round, whatever it costs."""
    queues = queues_of(drawn)
    ring = deque(queues)
    while ring:
        customer = ring.popleft()
        yield customer, queues[customer].popleft()
        if queues[customer]:
            ring.append(customer)


def deficit_round_robin(drawn: Arrivals) -> Iterator[tuple[int, int]]:
    """Serve as the product does, by its own scheduler."""
    queues = {str(customer): costs for customer, costs in queues_of(drawn).items()}
    ring = DeficitRoundRobin(QUANTUM)
    for customer in queues:
        ring.join(customer)
    while (name := ring.next_customer(lambda name: queues[name][0] if queues[name] else None)) is not None:
        cost = queues[name].popleft()
        ring.charge(cost)
        yield int(name), cost


def queues_of(drawn: Arrivals) -> dict[int, deque[int]]:
    """Return each customer's costs in order."""
    queues: dict[int, deque[int]] = {customer: deque() for customer in range(CUSTOMERS)}
    for customer, cost in drawn:
        queues[customer].append(cost)
    return queues


SCHEDULERS: Mapping[str, Callable[[Arrivals], Iterator[tuple[int, int]]]] = {
    "first in, first out": first_in_first_out,
    "plain round robin": plain_round_robin,
    "deficit round robin": deficit_round_robin,
}


def serve(scheduler: Callable[[Arrivals], Iterator[tuple[int, int]]], drawn: Arrivals) -> tuple[Service, int]:
    """Serve until SERVED units were; return each customer's units and the largest gap of two on the way."""
    served: Service = dict.fromkeys(range(CUSTOMERS), 0)
    total = gap = 0
    for customer, cost in scheduler(drawn):
        served[customer] += cost
        total += cost
        gap = max(gap, max(served.values()) - min(served.values()))
        if total >= SERVED:
            break
    return served, gap


def draw(shares: Mapping[str, Service], folder: Path) -> None:
    """Write schedulers.png and .svg: each customer's share under each scheduler."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    mpl.rcParams["svg.hashsalt"] = "schedulers"
    figure, axes = pyplot.subplots(1, len(shares), figsize=(9, 3.4), sharey=True)
    text = "#6f7883"
    for axis, (name, served) in zip(axes, shares.items(), strict=True):
        marked = {GREEDY: "#e0592a", COSTLY: "#b07cd8", CHEAP: "#2a9d6f"}
        colours = [marked.get(customer, "#3a83f0") for customer in served]
        total = sum(served.values())
        axis.bar(
            [customer + 1 for customer in served],
            [100 * one / total for one in served.values()],
            color=colours,
        )
        axis.axhline(100 / CUSTOMERS, color=text, linewidth=0.8, linestyle="--")
        axis.set_title(name, color=text, fontsize=10)
        axis.set_xlabel("customer", color=text, fontsize=9)
        axis.tick_params(colors=text, labelsize=8)
        for spine in axis.spines.values():
            spine.set_color(text)
    axes[0].set_ylabel("share of the service, %", color=text, fontsize=9)
    figure.text(
        0.5,
        0.01,
        "orange sends three times as much, violet only messages of cost 20, green of cost 1; dashed: equal",
        ha="center",
        color=text,
        fontsize=8.5,
    )
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("png", "svg"):
        metadata = {"Date": None} if kind == "svg" else {}
        figure.savefig(folder / f"schedulers.{kind}", transparent=True, dpi=200, metadata=metadata)
    pyplot.close(figure)


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
    pictures: Annotated[Path, typer.Option(help="Folder of the pictures.")] = Path("docs/pictures"),
) -> None:
    """Serve the same arrivals by each scheduler, write figures and pictures."""
    drawn = arrivals(random.Random(SEED))
    shares, summary = {}, {}
    for name, scheduler in SCHEDULERS.items():
        shares[name], gap = serve(scheduler, drawn)
        fair = SERVED / CUSTOMERS
        summary[name] = {
            "greedy over fair share": shares[name][GREEDY] / fair,
            "costly over fair share": shares[name][COSTLY] / fair,
            "cheap over fair share": shares[name][CHEAP] / fair,
            "largest gap, units": gap,
        }
        print(name, json.dumps(summary[name]))
    bound = QUANTUM + 2 * LARGEST
    facts = {
        "seed": SEED,
        "customers": CUSTOMERS,
        "quantum": QUANTUM,
        "largest cost": LARGEST,
        "bound": bound,
    }
    if json_file is not None:
        report.write(json_file, json.dumps(facts | {"summary": summary}, indent=1))
    draw(shares, pictures)


if __name__ == "__main__":
    typer.run(main)
