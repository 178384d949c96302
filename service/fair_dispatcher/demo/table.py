"""Shows how the demo stands and what came out of it, on a terminal or in plain lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fair_dispatcher.demo.lanes import Lane
from fair_dispatcher.demo.ledger import Snapshot, Waits
from fair_dispatcher.demo.run import Outcome
from fair_dispatcher.demo.scenario import Plan, Scenario

_LINE_SECONDS = 2.0


class Progress:
    """A live table on a terminal, elsewhere a line every two seconds. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._standings: dict[str, tuple[Lane, Snapshot]] = {}
        self._last_line_at = float("-inf")

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, lane: Lane, snapshot: Snapshot) -> None:
        """Show how a lane stands; what was shown of others stays."""
        if self._live is not None:
            self._standings[lane.name] = (lane, snapshot)
            self._live.update(_standing(self._standings.values()), refresh=True)
        elif time.monotonic() - self._last_line_at >= _LINE_SECONDS:
            self._last_line_at = time.monotonic()
            self._console.print(_line(lane, snapshot), soft_wrap=True, highlight=False)


def _standing(standings: Iterable[tuple[Lane, Snapshot]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, caption="waits: p50 / p99 of the last 2,000 hand-overs")
    table.add_column("", no_wrap=True)
    for heading in (
        "time",
        "customers\nwaiting",
        "handed\nover",
        "wait of quiet\ncustomers",
        "wait of\nflooder",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for lane, now in standings:
        table.add_row(
            lane.title,
            f"{now.seconds:.1f} s",
            f"{now.customers_waiting:,}",
            f"{now.handed_over:,}",
            _pair(now.quiet),
            _pair(now.flooder),
        )
    return table


def _line(lane: Lane, now: Snapshot) -> str:
    return (
        f"{lane.title}: {now.seconds:.1f} s, {now.handed_over:,} of {now.total:,} handed over, "
        f"{now.customers_waiting:,} customers waiting, "
        f"wait p50 / p99: quiet {_pair(now.quiet)}, flooder {_pair(now.flooder)}"
    )


def introduction(plan: Plan, scenario: Scenario, customers: int, where: str) -> str:
    """Say what is going to happen. where: the consumers run, in words, after “each”."""
    quiet, burst = f"{len(scenario.quiet):,}", f"{len(scenario.burst):,}"
    handlers = f"{plan.concurrency} handlers at a time of {plan.handler_seconds * 1000:g} ms"
    return (
        f"{plan.consumers} consumers, each {where} with {handlers}.\n"
        f"{quiet} messages of {customers:,} customers arrive within {scenario.seconds:.1f} s;\n"
        f"after {scenario.burst_at:.1f} s one more customer sends {burst} at once.\n"
    )


def results(plan: Plan, outcomes: Iterable[Outcome]) -> Table:
    """Make the table that compares the lanes."""
    outcomes = list(outcomes)
    table = Table(box=box.SIMPLE_HEAD, title="The same traffic, the same consumers", title_justify="left")
    table.add_column("")
    for outcome in outcomes:
        table.add_column(outcome.lane.title, justify="right")
    rows: list[tuple[str, Callable[[Outcome], str]]] = [
        ("quiet customers: wait p50", lambda one: _seconds(one.quiet.p50)),
        ("quiet customers: wait p99", lambda one: _seconds(one.quiet.p99)),
        ("quiet customers: longest wait", lambda one: _seconds(one.quiet.longest)),
        ("flooder: wait p50", lambda one: _seconds(one.flooder.p50)),
        ("flooder: wait p99", lambda one: _seconds(one.flooder.p99)),
        ("Jain index of equal customers ¹", lambda one: f"{one.jain:.4f}"),
        ("messages lost", lambda one: f"{one.lost:,}"),
        ("messages duplicated", lambda one: f"{one.duplicated:,}"),
        ("messages left in the broker", lambda one: f"{one.left:,}"),
        ("messages handled", lambda one: f"{one.messages - one.lost:,} in {one.seconds:.1f} s"),
        ("throughput", lambda one: f"{one.per_second:,.0f}/s"),
    ]
    for title, value in rows:
        table.add_row(title, *(value(outcome) for outcome in outcomes))
    return table


def note(plan: Plan) -> Text:
    """Define the index of the table."""
    return Text(
        f"¹ {plan.equal_customers} customers publish the same {plan.equal_messages} messages each, one after "
        "the other, before anybody consumes. x is the cost handed over to a customer in the first half of "
        "the hand-overs; the index is (Σx)² / (n·Σx²): 1 if all are served equally, 1/n if one gets all.",
        style="dim",
    )


def _pair(waits: Waits) -> str:
    if waits.p99 < 1:
        return f"{waits.p50 * 1000:.0f} / {waits.p99 * 1000:.0f} ms"
    return f"{waits.p50:.2f} / {waits.p99:.2f} s"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
