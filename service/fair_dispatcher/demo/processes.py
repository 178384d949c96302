"""Consumers in processes of their own, seen from the demo."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict
from typing import Self

from broker_core.errors import DispatcherError
from fair_dispatcher.demo.consumers import Access, Book, Work
from fair_dispatcher.demo.errors import first_error
from fair_dispatcher.demo.handover import HandOver

_MODULE = "fair_dispatcher.demo.consumer"
_LINE_LIMIT_BYTES = 16 << 20
# Longer than a Worker takes to end.
_ANSWER_SECONDS = 60.0
_END_SECONDS = 10.0


class ConsumerFailed(DispatcherError):
    """A consumer process can't go on, or is gone."""

    def __init__(self, reason: str, *, retryable: bool = False) -> None:
        super().__init__(reason)
        self.retryable = retryable


class ConsumerProcess:
    """One process; it ends with this one, however that ends."""

    def __init__(
        self, process: asyncio.subprocess.Process, to: asyncio.StreamWriter, back: asyncio.StreamReader
    ) -> None:
        self._process = process
        self._to = to
        self._back = back

    @classmethod
    async def start(cls, access: Access, work: Work) -> Self:
        """Start a new Python, which shares nothing with this one but the module path."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            _MODULE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_LIMIT_BYTES,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("asyncio has made no pipes to the process")
        consumer = cls(process, process.stdin, process.stdout)
        # Not as an argument, which everybody on the machine could read: the URL may hold a password.
        consumer.send(access=asdict(access), work=asdict(work))
        return consumer

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, **what: object) -> None:
        """Send one line."""
        self._to.write(json.dumps(what).encode() + b"\n")

    async def ask(self, **what: object) -> int:
        """Send one line and wait for the answer. Raises ConsumerFailed."""
        self.send(**what)
        with _in_time():
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self.answer(_refuse)

    async def answer(self, book: Book) -> int:
        """Wait for an answer and book what was handed over before it. Raises ConsumerFailed."""
        while line := await self._back.readline():
            told = json.loads(line)
            if "answer" in told:
                return int(told["answer"])
            if "failed" in told:
                raise ConsumerFailed(told["failed"], retryable=told["retryable"])
            for fields in told["handed_over"]:
                book(HandOver(*fields))
        code = await self._process.wait()
        raise ConsumerFailed(f"a consumer process ended with exit code {code}")

    def kill(self) -> None:
        """End it without its help. Idempotent."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._to.close()

    async def gone(self) -> None:
        """Wait until it is gone, after `kill`."""
        while await self._back.read(_LINE_LIMIT_BYTES):
            pass
        await self._process.wait()


@contextmanager
def _in_time() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise ConsumerFailed(f"a consumer process gives no answer for {_ANSWER_SECONDS:g} seconds") from error


def _refuse(_hand_over: HandOver) -> None:
    raise ConsumerFailed("a consumer process works that was not told to")


class ProcessConsumers:
    """Consumers in processes of their own."""

    where = "a process of its own,"

    def __init__(self, processes: Sequence[ConsumerProcess]) -> None:
        self._processes = processes

    @classmethod
    @asynccontextmanager
    async def started(cls, number: int, access: Access, work: Work) -> AsyncIterator[Self]:
        """Start the processes; they are gone at the end."""
        processes: list[ConsumerProcess] = []
        consumers = cls(processes)
        try:
            while len(processes) < number:
                processes.append(await ConsumerProcess.start(access, work))
            yield consumers
        finally:
            await consumers._end()

    @property
    def pids(self) -> list[int]:
        """Their process ids."""
        return [one.pid for one in self._processes]

    async def see_messages(self, namespace: str) -> bool:
        """Tell whether all of them find something ready in the namespace."""
        with first_error():
            return all(await self._ask_all("look", namespace))

    async def _ask_all(self, do: str, namespace: str) -> list[int]:
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(one.ask(do=do, namespace=namespace)) for one in self._processes]
        return [task.result() for task in asking]

    @asynccontextmanager
    async def working(self, namespace: str, book: Book) -> AsyncIterator[None]:
        """See Consumers."""
        try:
            await self._ask_all("work", namespace)
            with _in_time():
                async with asyncio.timeout(None) as patience, asyncio.TaskGroup() as group:
                    for one in self._processes:
                        group.create_task(one.answer(book))
                    yield
                    for one in self._processes:
                        one.send(do="stop")
                    patience.reschedule(asyncio.get_running_loop().time() + _ANSWER_SECONDS)
        except BaseException:
            await self._end()
            raise

    async def _end(self) -> None:
        for one in self._processes:
            one.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await asyncio.gather(*(one.gone() for one in self._processes))
