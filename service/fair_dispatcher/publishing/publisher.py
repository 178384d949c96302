"""Publishes messages of lines in batches, in the order of the lines, and knows what became of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from broker_core import FairDispatcher, Message
from broker_core.errors import PublishFailed
from fair_dispatcher.publishing.lines import Line, Lines
from fair_dispatcher.publishing.parsing import BrokenLine, Parser
from fair_dispatcher.publishing.source import Source, UnreadableSource

BATCH_MESSAGES = 500
BATCH_BYTES = 4 << 20


class StoppedAt(Exception):
    """A broken line ended the run; what came before it is published."""

    def __init__(self, number: int, problem: BrokenLine) -> None:
        super().__init__(f"line {number}: {problem}")


@dataclass(slots=True)
class Report:
    """What became of the lines so far.

    lines: how many were looked at. published: messages that are stored. skipped: broken lines.
    next_line: where to go on: the first line that may hold a message that is not stored.
    unknown: lines of which it isn't known whether their message is stored.
    """

    lines: int = 0
    published: int = 0
    skipped: int = 0
    next_line: int = 1
    unknown: list[int] = field(default_factory=list)
    bytes_read: int = 0


class Publisher:
    """Publishes what a source holds, and calls on_progress after each batch.

    on_broken is called with each broken line, which is skipped then; None: the first one ends the run.
    """

    def __init__(
        self,
        dispatcher: FairDispatcher,
        parser: Parser,
        *,
        on_broken: Callable[[int, BrokenLine], None] | None = None,
        on_progress: Callable[[Report], None] = lambda report: None,
    ) -> None:
        self.report = Report()
        self._dispatcher = dispatcher
        self._parser = parser
        self._on_broken = on_broken
        self._on_progress = on_progress
        self._numbers: list[int] = []
        self._batch: list[Message] = []
        self._batch_bytes = 0

    async def publish(self, source: Source) -> None:
        """Publish until the source ends.

        A batch is sent when it is full, and when nothing further has come: who writes slowly into a pipe
        needn't fill one. Raises what the dispatcher raises, UnreadableSource or StoppedAt.
        """
        lines = Lines(self._parser.longest_line_bytes)
        try:
            async for chunk in source.chunks():
                self.report.bytes_read += len(chunk)
                await self._take(lines.cut(chunk))
                if source.idle:
                    await self._send()
        except UnreadableSource:
            await self._send()
            raise
        await self._take(lines.last())
        await self._send()

    async def _take(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self.report.lines = line.number
            if line.text is not None and not line.text.strip():
                continue
            try:
                message = self._parser.parse(line.text)
            except BrokenLine as problem:
                await self._broken(line.number, problem)
                continue
            self._numbers.append(line.number)
            self._batch.append(message)
            self._batch_bytes += len(message.payload)
            if len(self._batch) >= BATCH_MESSAGES or self._batch_bytes >= BATCH_BYTES:
                await self._send()

    async def _broken(self, number: int, problem: BrokenLine) -> None:
        if self._on_broken is not None:
            self._on_broken(number, problem)
            self.report.skipped += 1
            return
        await self._send()
        self.report.next_line = number
        raise StoppedAt(number, problem) from problem

    async def _send(self) -> None:
        numbers, batch = self._numbers, self._batch
        self._numbers, self._batch, self._batch_bytes = [], [], 0
        report = self.report
        if batch:
            report.next_line = numbers[0]
            try:
                await self._dispatcher.publish(batch)
            except asyncio.CancelledError:
                report.unknown = numbers
                raise
            except PublishFailed as failure:
                report.published += len(failure.stored)
                report.unknown = [numbers[index] for index in failure.unknown]
                report.next_line = next(
                    number for index, number in enumerate(numbers) if index not in failure.stored
                )
                raise
            report.published += len(batch)
        report.next_line = report.lines + 1
        self._on_progress(report)
