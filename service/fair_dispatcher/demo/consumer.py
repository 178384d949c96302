"""A consumer in a process of its own, started by the demo: `python -m fair_dispatcher.demo.consumer`.

Each line of the standard input is a JSON object. The first says how to reach the broker and how to work.
{"do": "look", "namespace": …} is answered with the number of ready messages there.
{"do": "work", "namespace": …} is answered with 0 when it begins to work. The next line, whatever it says,
lets it stop, and when that is done it answers 0 again.
Each line of the standard output is {"handed_over": […]}, {"answer": number} or, at last,
{"failed": reason, "retryable": …}.
The end of the input ends the process at once: its parent is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import NoReturn

from broker_core.errors import DispatcherError
from fair_dispatcher.demo.consumers import Access, Work
from fair_dispatcher.demo.errors import first_error
from fair_dispatcher.demo.handover import HandOver

EXIT_FAILED = 1
EXIT_ORPHANED = 2

_REPORT_SECONDS = 0.05


class _Consumer:
    def __init__(self, commands: asyncio.StreamReader, access: Access, work: Work) -> None:
        self._commands = commands
        self._access = access
        self._work = work
        self._handed_over: list[HandOver] = []

    async def serve(self) -> NoReturn:
        while True:
            command = json.loads(await next_line(self._commands))
            if command["do"] == "look":
                async with self._access.dispatcher(command["namespace"]) as dispatcher:
                    tell(answer=(await dispatcher.backlog()).ready)
            else:
                await self._work_in(command["namespace"])
                tell(answer=0)

    async def _work_in(self, namespace: str) -> None:
        async with self._access.dispatcher(namespace) as dispatcher:
            worker = self._work.worker(dispatcher, self._handed_over.append)
            tell(answer=0)
            async with asyncio.TaskGroup() as group:
                reporting = group.create_task(self._report_again_and_again())
                running = group.create_task(worker.run())
                await next_line(self._commands)
                worker.stop()
                await running
                reporting.cancel()
        self._report()

    async def _report_again_and_again(self) -> NoReturn:
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            self._report()

    def _report(self) -> None:
        if self._handed_over:
            tell(handed_over=self._handed_over)
            self._handed_over.clear()


async def next_line(lines: asyncio.StreamReader) -> bytes:
    """Wait for a line of the parent; end this process if there is no parent any more."""
    line = await lines.readline()
    if not line:
        os._exit(EXIT_ORPHANED)
    return line


def tell(**what: object) -> None:
    """Send one line to the parent; end this process if nobody reads it."""
    try:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(EXIT_ORPHANED)


async def _run() -> None:
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    told = json.loads(await next_line(commands))
    try:
        with first_error():
            await _Consumer(commands, Access(**told["access"]), Work(**told["work"])).serve()
    except DispatcherError as error:
        tell(failed=str(error), retryable=error.retryable)
        sys.exit(EXIT_FAILED)


def main() -> None:
    """Serve until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    asyncio.run(_run())


if __name__ == "__main__":
    main()
