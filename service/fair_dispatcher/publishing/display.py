"""Shows how far publishing is, and how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from broker_core.errors import DispatcherError
from fair_dispatcher.commands.output import print_json
from fair_dispatcher.publishing.parsing import BrokenLine
from fair_dispatcher.publishing.publisher import Report, StoppedAt
from fair_dispatcher.publishing.source import UnreadableSource
from fair_dispatcher.runtime import without_secrets


class ProgressBar:
    """A bar on the standard error if that is a terminal; else nothing but the broken lines."""

    def __init__(self, size_bytes: int | None) -> None:
        console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            BarColumn(),
            TextColumn("{task.fields[published]:,} messages"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=size_bytes, published=0)

    def __enter__(self) -> Self:
        if self._progress.console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress.console.is_terminal:
            self._progress.stop()

    def show(self, report: Report) -> None:
        """Show how far it is."""
        self._progress.update(self._task, completed=report.bytes_read, published=report.published)

    def skipped(self, number: int, problem: BrokenLine) -> None:
        """Tell of a broken line."""
        self._progress.console.print(
            f"fairdispatch: line {number} skipped: {problem}", markup=False, soft_wrap=True
        )


@contextmanager
def summary(report: Report, *, as_json: bool) -> Iterator[None]:
    """Print what was published when the block ends, however it ends."""
    began = time.monotonic()
    problem: str | None = None
    try:
        yield
    except (DispatcherError, StoppedAt, UnreadableSource) as error:
        problem = without_secrets(str(error))
        raise
    except asyncio.CancelledError:
        problem = "interrupted"
        raise
    finally:
        seconds = time.monotonic() - began
        if as_json:
            print_json(_document(report, seconds, problem))
        else:
            typer.echo(_sentence(report, seconds, complete=problem is None))


def _document(report: Report, seconds: float, problem: str | None) -> dict[str, object]:
    return {
        "published": report.published,
        "skipped": report.skipped,
        "lines": report.lines,
        "seconds": round(seconds, 3),
        "next_line": report.next_line,
        "unknown_lines": report.unknown,
        "error": problem,
    }


def _sentence(report: Report, seconds: float, *, complete: bool) -> str:
    rate = f" ({report.published / seconds:,.0f}/s)" if report.published and seconds > 0 else ""
    parts = [f"published {report.published:,} messages in {seconds:.1f} s{rate}"]
    if report.skipped:
        parts.append(f"skipped {report.skipped:,} broken lines")
    if report.unknown:
        parts.append(
            f"not known whether {len(report.unknown):,} of the lines "
            f"{report.unknown[0]}–{report.unknown[-1]} are stored (those with an id may be published again)"
        )
    if not complete:
        parts.append(f"go on at line {report.next_line}")
    return "; ".join(parts)
