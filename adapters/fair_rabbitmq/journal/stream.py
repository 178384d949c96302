"""The journal in the broker: one stream, appended to and followed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from broker_core.errors import BrokerUnavailable, Closed, DispatcherError
from fair_rabbitmq.alarm import full
from fair_rabbitmq.ending import end_tasks
from fair_rabbitmq.journal.appender import Appender
from fair_rabbitmq.journal.channels import Channels
from fair_rabbitmq.journal.events import Alive, Barrier, Event, Gone, Record
from fair_rabbitmq.journal.following import Assembly
from fair_rabbitmq.journal.leasing import Leasing
from fair_rabbitmq.journal.loading import Loader, Replaced
from fair_rabbitmq.journal.presence import Presence
from fair_rabbitmq.journal.replica import Replica
from fair_rabbitmq.journal.restoring import retold
from fair_rabbitmq.journal.snapshotting import SnapshotWriter
from fair_rabbitmq.journal.wire import Publisher, StreamReader, declare_queue

log = logging.getLogger(__name__)

Listener = Callable[[str, Event], None]
"""Called with the writing dispatcher and each event, own ones included, after the replica took it in.

Not called for what was there before `start` returned. Must not raise and must not wait.
"""

_IDLE_SECONDS = 60.0
_LOADING_TIMEOUTS = 4
_CLOSE_SECONDS = 0.3


class Journal:
    """Appends events and keeps a replica of all that was ever appended; one object a dispatcher.

    dispatcher: a name that nobody else ever has. replica: is another object after the journal had to be
    read anew, so don't keep it.
    """

    def __init__(
        self,
        channels: Channels,
        stream: str,
        *,
        dispatcher: str,
        timeout_seconds: float = 5.0,
        heartbeat_seconds: float = 2.0,
        silence_seconds: float = 10.0,
        max_bytes: int = 256 << 20,
        segment_bytes: int = 16 << 20,
        snapshot_bytes: int = 4 << 20,
        new_replica: Callable[[], Replica] = Replica,
    ) -> None:
        self.dispatcher = dispatcher
        self._channels, self._stream = channels, stream
        self._timeout_seconds = timeout_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._max_bytes, self._segment_bytes = max_bytes, segment_bytes
        self._alarm = channels.alarm
        self._alarm.listen(self._alarm_over)
        self._publisher = Publisher(channels, timeout_seconds, patient=True)
        self._appender = Appender(self._publisher, stream, dispatcher, self._latest_snapshot)
        self.leasing = Leasing(self, self._appender, self._alarm)
        self._presence = Presence(dispatcher, silence_seconds)
        self._assembly: Assembly | None = None
        self._listeners: list[tuple[Listener, Callable[[], None] | None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._seen = asyncio.Condition()
        self._reader: StreamReader | None = None
        self._knows_snapshot = False
        self._snapshots = SnapshotWriter(lambda event: self._append([event]), snapshot_bytes, max_bytes)
        self._loader = Loader(channels, stream, dispatcher, timeout_seconds, new_replica, self._mark)
        self._leaving = self._closed = False

    @property
    def replica(self) -> Replica:
        """All that was appended, up to a few milliseconds ago; up to the last contact in an outage."""
        assembly = self._assembly
        if assembly is None or assembly.replica is None:
            raise Closed("the journal isn't started")
        return assembly.replica

    def listen(self, listener: Listener, reloaded: Callable[[], None] | None = None) -> None:
        """Call this for every event from now on.

        reloaded: called instead when so much was missed that the replica was built anew.
        """
        self._listeners.append((listener, reloaded))

    async def start(self) -> None:
        """Declare the stream if it is new and read it up to its present end.

        Raises BrokerUnavailable; then nothing is left running.
        """
        try:
            async with asyncio.timeout(_LOADING_TIMEOUTS * self._timeout_seconds):
                await self._declare()
                self._spawn(self._appender.run())
                await self._load()
        except TimeoutError as error:
            await self.close()
            raise BrokerUnavailable("the journal could not be read in time") from error
        except BaseException:
            await self.close()
            raise
        self._spawn(self._follow())
        self._spawn(self._beat())

    async def close(self) -> None:
        """Append Gone if the broker answers at once, end all tasks. Idempotent; a second at most."""
        self._leaving = True
        if not self._closed and self._assembly is not None and not self._alarm.is_on:
            with contextlib.suppress(DispatcherError, TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await asyncio.shield(self._appender.put([Gone(self.dispatcher)]))
        self._closed = True
        self._appender.close()
        tasks, self._tasks = self._tasks, []
        await asyncio.gather(end_tasks(tasks), self._snapshots.close())
        async with self._seen:
            self._seen.notify_all()
        await asyncio.gather(self._publisher.close(), self._stop_reading())

    # Appending.

    async def append(self, *events: Event) -> None:
        """Store the events in this order, all or none, as one record; returns when the broker confirmed.

        The replica holds them soon after, or after `barrier()`. Concurrent calls share records.
        During an outage it waits for its end; after the time-out BrokerUnavailable: then the events
        are still appended once if the broker comes back while this journal lives. BrokerFull under an
        alarm, and nothing is appended; BrokerUnavailable at once when the alarm begins meanwhile.
        """
        await self._append(events)

    def append_soon(self, *events: Event) -> None:
        """The same without waiting, for what may be lost with this process. Never raises."""
        try:
            self._appender.put(events)
        except DispatcherError:
            if not self._closed:
                log.warning("the journal lost %d events: too many wait for the broker", len(events))

    async def barrier(self) -> None:
        """Return when the replica holds everything that was confirmed before this call. Bounded as append."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                number = await self._mark()
                end = -1 if number is not None else await self._loader.end()
                async with self._seen:
                    await self._seen.wait_for(
                        lambda: (
                            self._closed
                            or (self._has_seen(number) if number is not None else self._offset >= end)
                        )
                    )
        except TimeoutError as error:
            raise BrokerUnavailable("the journal doesn't come back in time") from error

    async def _append(self, events: Sequence[Event]) -> int:
        if self._alarm.is_on:
            raise full()
        number = await self.until_stored(self._appender.put(events))
        if number is None:
            raise BrokerUnavailable("RabbitMQ has an alarm: the journal is told when that is over")
        return number

    async def until_stored(self, stored: asyncio.Future[int]) -> int | None:
        """Return the record's number, or None when it is known that an alarm keeps it from being stored."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return stored.result() if await self._alarm.first(stored) else None
        except TimeoutError as error:
            raise BrokerUnavailable("the broker doesn't confirm the journal's entries in time") from error

    async def _mark(self) -> int | None:
        if self._alarm.is_on:
            return None
        return await self.until_stored(self._appender.put([Barrier(secrets.randbits(32))]))

    @property
    def _offset(self) -> int:
        return -1 if self._assembly is None else self._assembly.offset

    @property
    def is_held(self) -> bool:
        """Whether an alarm keeps the broker from taking anything in, so that `append` can't work."""
        return self._alarm.is_on

    def _alarm_over(self) -> None:
        if not self._closed and self._assembly is not None:
            self._presence.begin(self.replica.writers.live())
            self.leasing.tell_kept()

    def _has_seen(self, number: int) -> bool:
        return self.replica.writers.last_number(self.dispatcher) >= number

    def _latest_snapshot(self) -> int | None:
        if self._assembly is None or not self._knows_snapshot:
            return None
        return self._assembly.collector.latest

    # Following.

    async def _declare(self) -> None:
        arguments: dict[str, str | int] = {
            "x-queue-type": "stream",
            "x-max-length-bytes": self._max_bytes,
            "x-stream-max-segment-size-bytes": self._segment_bytes,
        }
        await declare_queue(self._channels, self._stream, arguments, self._timeout_seconds)

    async def _load(self) -> None:
        self._knows_snapshot = False
        self._assembly, self._reader = await self._loader.load()
        self._knows_snapshot = True
        self._presence.begin(self.replica.writers.live())

    async def _follow(self) -> None:
        while True:
            try:
                while self._reader is not None and self._assembly is not None:
                    entries = await self._reader.next(_IDLE_SECONDS)
                    await self._take_in(filter(None, map(self._assembly.feed, entries)))
                    self._snapshots.consider(self._assembly)
            except BrokerUnavailable as error:
                log.info("the journal isn't followed for now: %s", error)
            await self._stop_reading()
            await self._resume()

    async def _take_in(self, records: Iterable[Record]) -> None:
        for record in records:
            self._presence.hear(record.dispatcher)
            for event in record.events:
                if event == Gone(self.dispatcher):
                    self._say_alive()
                for listener, _ in self._listeners:
                    listener(record.dispatcher, event)
        async with self._seen:
            self._seen.notify_all()

    async def _resume(self) -> None:
        """Go on behind the last entry, or read the journal anew if that is gone; wait as long as it takes."""
        pause = 0.05
        while self._reader is None:
            try:
                async with asyncio.timeout(_LOADING_TIMEOUTS * self._timeout_seconds):
                    await self._declare()
                    await self._reopen()
            except (BrokerUnavailable, TimeoutError):
                await asyncio.sleep(pause)
                pause = min(2 * pause, 1.0)

    async def _reopen(self) -> None:
        old = self._assembly
        lost = False
        resumed = None
        try:
            resumed = None if old is None else await self._loader.resume(old)
        except Replaced:
            lost = True
        if resumed is not None:
            records, self._reader = resumed
            self._presence.begin(self.replica.writers.live())
            await self._take_in(records)
            return
        await self._load()
        if lost and old is not None and old.replica is not None:
            log.error(
                "the journal was deleted by somebody else: what this dispatcher knew of it is told anew"
            )
            for one in old.replica.customers():
                # At once, lest their queues were made a second time under other names.
                if self.replica.customer(one.name) is None:
                    self.replica.generations.restore(one)
            for event in retold(old.replica, self.dispatcher):
                self.append_soon(event)
        for _, reloaded in self._listeners:
            if reloaded is not None:
                reloaded()
        await self._take_in(())

    async def _stop_reading(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.close()

    async def _beat(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            if number == self._appender.number and self._appender.is_idle:
                self._say_alive()
            number = self._appender.number
            if self._alarm.is_on:
                # Nobody is heard of while nobody can write.
                self._presence.begin(self.replica.writers.live())
                continue
            for silent in self._presence.silent(self.replica.writers.live()):
                self.append_soon(Gone(silent))

    def _say_alive(self) -> None:
        # Not after this dispatcher itself has said that it is gone, which it may read before the confirm.
        if not self._leaving:
            self.append_soon(Alive())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(_log_failure)
        self._tasks.append(task)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the journal stopped working", exc_info=error)
